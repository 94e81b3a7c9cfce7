//! `VmState::save_body`: fields, then subsections, in the order of the struct.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Field, Form, Model, Presence};

/// The method.
pub(crate) fn save_body(model: &Model, context: &TokenStream) -> TokenStream {
    let fields = model.fields.iter().map(|field| save_field(field, context));
    let slots = model.subsections.iter().map(|subsection| &subsection.ident);
    let types = model.subsections.iter().map(|subsection| &subsection.ty);
    quote! {
        fn save_body(&self, out: &mut ::vmstate::Writer) {
            #(#fields)*
            #(::vmstate::state::save_subsection::<#context, #types>(self.#slots.as_ref(), out);)*
        }
    }
}

fn save_field(field: &Field, context: &TokenStream) -> TokenStream {
    let Field { ident, ty, form, .. } = field;
    let save = match form {
        Form::Counted { .. } => quote!(<#ty as ::vmstate::field::CountedField<#context>>::save_counted),
        _ => quote!(<#ty as ::vmstate::Field<#context>>::save),
    };
    match field.presence {
        Presence::Always => quote!(#save(&self.#ident, out);),
        Presence::Since(_) | Presence::When(_) => quote! {
            if let ::core::option::Option::Some(value) = &self.#ident {
                #save(value, out);
            }
        },
    }
}
