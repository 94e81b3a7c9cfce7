//! `#[derive(VmState)]`: load, save and description of a struct, all from the struct itself.
//!
//! Use it through `vmstate`, which re-exports it: the derived code names that crate. What is written
//! in the attributes is parsed in `attributes`, checked in `model`, and turned into code in `load`,
//! `save` and `describe`.
#![forbid(unsafe_code)]

mod attributes;
mod describe;
mod load;
mod model;
mod save;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use quote::quote;
use syn::{DeriveInput, Error, parse_macro_input};

use crate::model::Model;

/// Describes a struct of a migration stream: its fields in wire order, then its subsections.
///
/// Implements `VmState`, `Described`, `Typed` and, so that it can be a field of another struct, `Field`.
///
/// ```
/// use vmstate::types::{Bitmap, Counted};
/// use vmstate::{ErrorKind, Reader, VmState, Writer};
///
/// const MAX_MACS: u64 = 64;
///
/// /// What the reader knows of the device beyond the bytes.
/// struct Shape {
///     max_queue_pairs: Option<u16>,
/// }
///
/// #[derive(VmState)]
/// #[vmstate(name = "nic", version = 3, minimum_version = 2, context = Shape, post_load = Nic::check)]
/// struct Nic {
///     status: u8,
///     #[vmstate(rename = "mac_table.macs", max = MAX_MACS)]
///     macs: Counted<u32, [u8; 6]>,
///     #[vmstate(equal = cx.max_queue_pairs)]
///     max_queue_pairs: u16,
///     #[vmstate(count = max_queue_pairs, max = 16)]
///     indexes: Vec<u16>,
///     #[vmstate(since = 3)]
///     offloads: Option<u64>,
///     #[vmstate(when = status & 1 != 0, count = 4096_u32)]
///     vlans: Option<Bitmap>,
///     #[vmstate(subsection)]
///     rss: Option<Rss>,
/// }
///
/// #[derive(VmState)]
/// #[vmstate(name = "nic/rss")]
/// struct Rss {
///     hash_types: u32,
/// }
///
/// impl Nic {
///     fn check(&mut self, _: &Shape) -> Result<(), ErrorKind> {
///         let links = self.status & 0xfe == 0;
///         links.then_some(()).ok_or(ErrorKind::Invalid("status bits that mean nothing".into()))
///     }
/// }
///
/// let shape = Shape { max_queue_pairs: Some(2) };
/// let body = [0, 0, 0, 0, 0, 0, 2, 0, 7, 0, 9];
/// let nic = Nic::load_body(&mut Reader::new(&body, 0), 2, &shape)?;
/// assert_eq!(nic.indexes, [7, 9]);
///
/// let mut out = Writer::new();
/// nic.save_body(&mut out);
/// assert_eq!(out.as_bytes(), body);
/// # Ok::<(), vmstate::Error>(())
/// ```
///
/// # Attributes of the struct
/// | attribute | meaning |
/// | --- | --- |
/// | `name = "…"` | what the stream calls it; required |
/// | `version = N` | the version that is written, and the newest that is read; 1 if not given |
/// | `minimum_version = N` | the oldest version that is read; `version` if not given |
/// | `context = Type` | the `Cx` of `VmState<Cx>`; without one the struct works with any context |
/// | `post_load = path` | `fn(&mut Self, &Context) -> Result<(), ErrorKind>`, called after fields and subsections; without a `context` it is given `&()` |
///
/// # Attributes of a field
/// | attribute | type of the field | meaning |
/// | --- | --- | --- |
/// | none | any `Field` | always there |
/// | `rename = "…"` | any | its name in descriptions and errors, where that is not the identifier |
/// | `since = N` | `Option<T>` | there in version N and later ones |
/// | `when = EXPR` | `Option<T>` | there if the expression is true |
/// | `count = EXPR` | a `CountedField`: `Vec`, `Bitmap` | how many elements (bits) there are; anything that `u64::from` takes |
/// | `max = N` | with `count`, or a `BoundedField`: `Counted` | the limit of the count; more is an error |
/// | `equal = EXPR` | an integer or another `Field` with `PartialEq` and `Display` | an `Option` of the only right value, `None` if that is not known |
/// | `subsection` | `Option<T>` of a `T` that derives `VmState` | a subsection, called what the `name` of `T` says; after all other fields |
///
/// `since` and `when` go with any of `count`, `max` and `equal`, which then speak of what is inside the
/// `Option`. Expressions may use `cx: &Context`, `version: u32`, which is the version being read, and
/// the fields before, by their plain names; `N` is a number, for `max` also a constant.
///
/// # Saving
/// What is `Some` is written, whatever version or expression made it be there when it was read: a
/// struct that was read is written as the same bytes. Who sets such a field keeps to the rule.
#[proc_macro_derive(VmState, attributes(vmstate))]
pub fn derive(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// The derived code, or errors that point into `input`.
fn expand(input: &DeriveInput) -> syn::Result<TokenStream2> {
    let model = Model::new(input)?;
    let ident = &model.ident;
    let (generics, context) = match &model.context {
        Some(context) => (None, quote!(#context)),
        None => (Some(quote!(<__Cx: ?Sized>)), quote!(__Cx)),
    };
    let description = describe::description(&model);
    let load_fields = load::load_fields(&model, &context);
    let save_body = save::save_body(&model, &context);
    let describe_body = describe::describe_body(&model, &context);
    Ok(quote! {
        #description

        #[automatically_derived]
        impl #generics ::vmstate::VmState<#context> for #ident {
            #load_fields
            #save_body
            #describe_body
        }

        #[automatically_derived]
        impl #generics ::vmstate::Field<#context> for #ident {
            fn load(input: &mut ::vmstate::Reader<'_>, cx: &#context) -> ::vmstate::Result<Self> {
                let version = <Self as ::vmstate::Described>::DESCRIPTION.version;
                <Self as ::vmstate::VmState<#context>>::load_body(input, version, cx)
            }

            fn save(&self, out: &mut ::vmstate::Writer) {
                <Self as ::vmstate::VmState<#context>>::save_body(self, out);
            }

            fn describe(&self, name: &str) -> ::std::vec::Vec<::vmstate::vmdesc::FieldDesc> {
                ::vmstate::state::describe_struct::<#context, Self>(self, name)
            }
        }
    })
}

#[cfg(test)]
mod golden;
