//! `VmState::load_fields`: straight-line code, one statement for each field.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use crate::model::{Field, Form, Model, Presence};

/// The method.
///
/// `cx`, `version` and the fields read so far are in scope for the user's expressions; everything
/// else has a name they cannot see.
pub(crate) fn load_fields(model: &Model, context: &TokenStream) -> TokenStream {
    let input = hidden("input");
    let fields = model.fields.iter().map(|field| load_field(field, &input, context));
    let subsections = load_subsections(model, &input, context);
    let idents = model.fields.iter().map(|field| &field.ident);
    let idents = idents.chain(model.subsections.iter().map(|subsection| &subsection.ident));
    let value = quote!(Self { #(#idents),* });
    let result = match &model.post_load {
        None => quote!(::core::result::Result::Ok(#value)),
        Some(post_load) => {
            let loaded = hidden("loaded");
            // A function that does not care for the context need not be generic over it.
            let cx = if model.context.is_some() { quote!(cx) } else { quote!(&()) };
            quote! {
                let mut #loaded = #value;
                #post_load(&mut #loaded, #cx).map_err(|kind| #input.fail(kind))?;
                ::core::result::Result::Ok(#loaded)
            }
        }
    };
    quote! {
        fn load_fields(
            #input: &mut ::vmstate::Reader<'_>,
            version: u32,
            cx: &#context,
        ) -> ::vmstate::Result<Self> {
            #(#fields)*
            #subsections
            #result
        }
    }
}

fn load_field(field: &Field, input: &Ident, context: &TokenStream) -> TokenStream {
    let Field { ident, name, ty, presence, form, .. } = field;
    let load = match form {
        Form::Plain => quote!(<#ty as ::vmstate::Field<#context>>::load(#input, cx)),
        Form::Counted { count, max } => {
            let max = match max {
                Some(max) => quote!((#max) as u64),
                None => quote!(u64::MAX),
            };
            quote! {
                <#ty as ::vmstate::field::CountedField<#context>>::load_counted(
                    #input, u64::from(#count), #max, cx,
                )
            }
        }
        Form::Bounded(max) => quote! {
            <#ty as ::vmstate::field::BoundedField<#context>>::load_bounded(#input, (#max) as u64, cx)
        },
        Form::Equal(equal) => quote! {
            ::vmstate::state::load_equal::<#context, #ty>(#input, #equal, cx)
        },
    };
    let load = quote!(#load.map_err(|error| error.in_field(#name))?);
    let condition = match presence {
        Presence::Always => return quote!(let #ident = #load;),
        Presence::Since(since) => quote!(version >= #since),
        Presence::When(when) => quote!(#when),
    };
    quote! {
        let #ident = if #condition {
            ::core::option::Option::Some(#load)
        } else {
            ::core::option::Option::None
        };
    }
}

fn load_subsections(model: &Model, input: &Ident, context: &TokenStream) -> TokenStream {
    let (name, found) = (&model.name, hidden("found"));
    let slots: Vec<_> = model.subsections.iter().map(|subsection| &subsection.ident).collect();
    let types: Vec<_> = model.subsections.iter().map(|subsection| &subsection.ty).collect();
    // Without subsections the first that claims to be one is an error, so there is nothing to repeat.
    let repeat = if slots.is_empty() { quote!(if) } else { quote!(while) };
    quote! {
        #(let mut #slots = ::core::option::Option::None;)*
        #repeat let ::core::option::Option::Some(#found) = ::vmstate::state::next_subsection(#input, #name) {
            #(
                if #found == <#types as ::vmstate::Described>::DESCRIPTION.name {
                    ::vmstate::state::load_subsection::<#context, #types>(&mut #slots, #input, cx)?;
                    continue;
                }
            )*
            return ::core::result::Result::Err(::vmstate::state::unknown_subsection::<Self>(#input, #found));
        }
    }
}

/// A name that neither sees nor hides any of the user's.
pub(crate) fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
