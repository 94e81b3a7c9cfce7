//! `#[vmstate(…)]`: what is written, before anything is checked against the struct.
//!
//! Each value keeps the key it was given with, so that an error can point at it.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, ExprLit, Lit, LitInt, LitStr, Meta, MetaNameValue, Path, Result, Type};

/// A value and the place of its key.
pub(crate) struct Given<T> {
    pub(crate) key: Span,
    pub(crate) value: T,
}

/// The attributes of a struct.
#[derive(Default)]
pub(crate) struct StructAttributes {
    pub(crate) name: Option<Given<LitStr>>,
    pub(crate) version: Option<Given<u32>>,
    pub(crate) minimum_version: Option<Given<u32>>,
    pub(crate) context: Option<Given<Type>>,
    pub(crate) post_load: Option<Given<Path>>,
}

/// The attributes of a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) rename: Option<Given<LitStr>>,
    pub(crate) subsection: Option<Given<()>>,
    pub(crate) since: Option<Given<u32>>,
    pub(crate) when: Option<Given<Expr>>,
    pub(crate) count: Option<Given<Expr>>,
    pub(crate) max: Option<Given<Expr>>,
    pub(crate) equal: Option<Given<Expr>>,
}

impl StructAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, |key, meta| match key {
            "name" => set(&mut this.name, meta, string),
            "version" => set(&mut this.version, meta, integer),
            "minimum_version" => set(&mut this.minimum_version, meta, integer),
            "context" => set(&mut this.context, meta, |meta| meta.value()?.parse()),
            "post_load" => set(&mut this.post_load, meta, |meta| meta.value()?.parse()),
            _ => Err(meta.error(
                "unknown attribute: a struct takes `name`, `version`, `minimum_version`, `context` \
                 and `post_load`",
            )),
        })?;
        Ok(this)
    }
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, |key, meta| match key {
            "rename" => set(&mut this.rename, meta, string),
            "subsection" => set(&mut this.subsection, meta, flag),
            "since" => set(&mut this.since, meta, integer),
            "when" => set(&mut this.when, meta, |meta| meta.value()?.parse()),
            "count" => set(&mut this.count, meta, |meta| meta.value()?.parse()),
            "max" => set(&mut this.max, meta, |meta| meta.value()?.parse()),
            "equal" => set(&mut this.equal, meta, |meta| meta.value()?.parse()),
            _ => Err(meta.error(
                "unknown attribute: a field takes `rename`, `subsection`, `since`, `when`, `count`, `max` \
                 and `equal`",
            )),
        })?;
        Ok(this)
    }
}

/// The first paragraph of the documentation, in one line.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(MetaNameValue {
            path,
            value: Expr::Lit(ExprLit { lit: Lit::Str(line), .. }),
            ..
        }) if path.is_ident("doc") => Some(line.value().trim().to_owned()),
        _ => None,
    });
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Calls `take` for each key inside each `#[vmstate(…)]`.
fn each(
    attributes: &[Attribute],
    mut take: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("vmstate")) {
        attribute.parse_nested_meta(|meta| {
            let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            take(&key, &meta)
        })?;
    }
    Ok(())
}

fn set<T>(
    slot: &mut Option<Given<T>>,
    meta: &ParseNestedMeta<'_>,
    parse: impl FnOnce(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    if slot.is_some() {
        return Err(meta.error("given a second time: write it once"));
    }
    let key = syn::spanned::Spanned::span(&meta.path);
    *slot = Some(Given { key, value: parse(meta)? });
    Ok(())
}

/// A name: the stream writes its length as one byte.
fn string(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let literal: LitStr = meta.value()?.parse()?;
    match literal.value().len() {
        1..=255 => Ok(literal),
        length => {
            Err(Error::new(literal.span(), format!("a name has 1 to 255 bytes, this one has {length}")))
        }
    }
}

fn integer(meta: &ParseNestedMeta<'_>) -> Result<u32> {
    meta.value()?.parse::<LitInt>()?.base10_parse()
}

fn flag(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::Token![=]) {
        return Err(meta.error("takes no value: a subsection is called what its type's `name` says"));
    }
    Ok(())
}
