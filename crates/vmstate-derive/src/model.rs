//! The struct that is derived for, checked: what `load`, `save` and `describe` are written from.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{
    Data, DeriveInput, Error, Expr, Fields, GenericArgument, Ident, LitStr, Path, PathArguments, Result, Type,
};

use crate::attributes::{FieldAttributes, Given, StructAttributes, doc};

/// A struct that can be derived for.
pub(crate) struct Model {
    pub(crate) ident: Ident,
    /// What the stream calls it.
    pub(crate) name: LitStr,
    /// What it is.
    pub(crate) doc: String,
    pub(crate) version: u32,
    pub(crate) minimum_version: u32,
    /// The context it needs; without one it works with any.
    pub(crate) context: Option<Type>,
    pub(crate) post_load: Option<Path>,
    pub(crate) fields: Vec<Field>,
    pub(crate) subsections: Vec<Subsection>,
}

/// A field that is not a subsection.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// Its name in descriptions and errors.
    pub(crate) name: LitStr,
    /// What it means.
    pub(crate) doc: String,
    /// The type on the wire: for a field that may be missing, what is inside the `Option`.
    pub(crate) ty: Type,
    pub(crate) presence: Presence,
    pub(crate) form: Form,
}

/// When a field is there.
pub(crate) enum Presence {
    Always,
    /// In this version and later ones.
    Since(u32),
    /// If the expression is true.
    When(Expr),
}

/// How a field is read.
pub(crate) enum Form {
    Plain,
    /// The expression is how many elements there are.
    Counted {
        count: Expr,
        max: Option<Expr>,
    },
    /// The field carries its count; the expression limits it.
    Bounded(Expr),
    /// The expression is the value it must have, if one is known.
    Equal(Expr),
}

/// A field that is a subsection.
pub(crate) struct Subsection {
    pub(crate) ident: Ident,
    /// What it has, and when it is there.
    pub(crate) doc: String,
    /// What is inside the `Option`.
    pub(crate) ty: Type,
}

impl Model {
    pub(crate) fn new(input: &DeriveInput) -> Result<Self> {
        let attributes = StructAttributes::parse(&input.attrs)?;
        if !input.generics.params.is_empty() {
            let message = "generic structs are not supported: write out one struct for each type";
            return Err(Error::new_spanned(&input.generics, message));
        }
        let Some(name) = attributes.name else {
            let message = "what does the stream call this struct? write `#[vmstate(name = \"…\")]`";
            return Err(Error::new(input.ident.span(), message));
        };
        let version = attributes.version.map_or(1, |given| given.value);
        let minimum_version = attributes.minimum_version.as_ref().map_or(version, |given| given.value);
        if let Some(given) = attributes.minimum_version.filter(|given| given.value > version) {
            let message = format!("above `version`, which is {version}: no version could be read");
            return Err(Error::new(given.key, message));
        }
        let mut model = Self {
            ident: input.ident.clone(),
            name: name.value,
            doc: doc(&input.attrs),
            version,
            minimum_version,
            context: attributes.context.map(|given| given.value),
            post_load: attributes.post_load.map(|given| given.value),
            fields: Vec::new(),
            subsections: Vec::new(),
        };
        // All wrong fields are reported at once.
        let errors = named_fields(input)?.filter_map(|field| model.add(field).err());
        match errors.reduce(|mut all, error| {
            all.combine(error);
            all
        }) {
            Some(errors) => Err(errors),
            None => Ok(model),
        }
    }

    fn add(&mut self, field: &syn::Field) -> Result<()> {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        let Some(ident) = field.ident.clone() else { return Ok(()) };
        let doc = doc(&field.attrs);
        if let Some(subsection) = &attributes.subsection {
            if attributes.other_than_subsection() {
                let message = "a subsection takes no other attributes";
                return Err(Error::new(subsection.key, message));
            }
            let ty = inside_option(&field.ty, "subsection", subsection.key)?;
            self.subsections.push(Subsection { ident, doc, ty });
            return Ok(());
        }
        if !self.subsections.is_empty() {
            let message = "a field after a subsection: the stream has all fields of a struct before its \
                           subsections, so move it up";
            return Err(Error::new(ident.span(), message));
        }
        if ident == "cx" || ident == "version" {
            let message = format!(
                "`{ident}` means something else in attributes: call the field otherwise and write \
                 `#[vmstate(rename = \"{ident}\")]`"
            );
            return Err(Error::new(ident.span(), message));
        }
        let name = match attributes.rename {
            Some(given) => given.value,
            None => LitStr::new(&ident.unraw().to_string(), ident.span()),
        };
        let (presence, ty) = self.presence(attributes.since, attributes.when, &field.ty)?;
        let form = form(attributes.count, attributes.max, attributes.equal)?;
        self.fields.push(Field { ident, name, doc, ty, presence, form });
        Ok(())
    }

    /// When the field is there, and its type when it is.
    fn presence(
        &self,
        since: Option<Given<u32>>,
        when: Option<Given<Expr>>,
        ty: &Type,
    ) -> Result<(Presence, Type)> {
        match (since, when) {
            (None, None) => Ok((Presence::Always, ty.clone())),
            (None, Some(when)) => Ok((Presence::When(when.value), inside_option(ty, "when", when.key)?)),
            (Some(since), None) => {
                let (minimum, version) = (self.minimum_version, self.version);
                if since.value <= minimum {
                    let message = format!(
                        "always there, since {minimum} is the oldest version that is read: remove it, or \
                         lower `minimum_version`"
                    );
                    return Err(Error::new(since.key, message));
                }
                if since.value > version {
                    let message = format!("never there, since `version` is {version}: raise `version`");
                    return Err(Error::new(since.key, message));
                }
                Ok((Presence::Since(since.value), inside_option(ty, "since", since.key)?))
            }
            (Some(since), Some(_)) => {
                let message =
                    format!("`since` and `when` together: write `when = version >= {} && …`", since.value);
                Err(Error::new(since.key, message))
            }
        }
    }
}

impl FieldAttributes {
    fn other_than_subsection(&self) -> bool {
        let Self { rename, subsection: _, since, when, count, max, equal } = self;
        let expressions = [when, count, max, equal];
        rename.is_some() || since.is_some() || expressions.into_iter().any(Option::is_some)
    }
}

fn form(count: Option<Given<Expr>>, max: Option<Given<Expr>>, equal: Option<Given<Expr>>) -> Result<Form> {
    match (count, max, equal) {
        (None, None, None) => Ok(Form::Plain),
        (Some(count), max, None) => {
            Ok(Form::Counted { count: count.value, max: max.map(|given| given.value) })
        }
        (None, Some(max), None) => Ok(Form::Bounded(max.value)),
        (None, None, Some(equal)) => Ok(Form::Equal(equal.value)),
        (_, _, Some(equal)) => {
            let message = "`equal` is for single values: it goes with neither `count` nor `max`";
            Err(Error::new(equal.key, message))
        }
    }
}

fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &syn::Field>> {
    let message = "`VmState` is for structs with named fields: the names are those of the stream's fields";
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Named(_) | Fields::Unit) => {
            Ok(data.fields.iter())
        }
        _ => Err(Error::new(input.ident.span(), message)),
    }
}

/// The `T` of `Option<T>`.
fn inside_option(ty: &Type, attribute: &str, key: Span) -> Result<Type> {
    let segment = match ty {
        Type::Path(path) => path.path.segments.last().filter(|segment| segment.ident == "Option"),
        _ => None,
    };
    if let Some(segment) = segment
        && let PathArguments::AngleBracketed(arguments) = &segment.arguments
        && let Some(GenericArgument::Type(inside)) = arguments.args.first()
    {
        return Ok(inside.clone());
    }
    let message = format!("`{attribute}` is for what may be missing: make the type an `Option<…>`");
    Err(Error::new(key, message))
}
