//! `Described::DESCRIPTION`, known without a value, and `VmState::describe_body`, made from one.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::model::{Field, Form, Model, Presence};

/// The implementations that need no value.
pub(crate) fn description(model: &Model) -> TokenStream {
    let Model { ident, name, doc, version, minimum_version, .. } = model;
    let fields = model.fields.iter().map(field_description);
    let subsections = model.subsections.iter().map(|subsection| &subsection.ty);
    let needed = model.subsections.iter().map(|subsection| &subsection.doc);
    let belong = (!model.subsections.is_empty()).then(|| {
        let message = format!(
            "the name of each subsection must begin with `{}`: that is how a reader knows whose it is",
            name.value()
        );
        quote_spanned! {name.span()=>
            const _: () = assert!(<#ident as ::vmstate::Described>::DESCRIPTION.owns_subsections(), #message);
        }
    });
    quote! {
        #[automatically_derived]
        impl ::vmstate::Described for #ident {
            const DESCRIPTION: &'static ::vmstate::Description = &::vmstate::Description {
                name: #name,
                doc: #doc,
                version: #version,
                minimum_version: #minimum_version,
                fields: &[#(#fields),*],
                subsections: &[#(
                    ::vmstate::description::SubsectionDescription {
                        doc: #needed,
                        description: <#subsections as ::vmstate::Described>::DESCRIPTION,
                    }
                ),*],
            };
        }

        #[automatically_derived]
        impl ::vmstate::Typed for #ident {
            const TYPE: ::vmstate::Type = ::vmstate::Type::Struct(<Self as ::vmstate::Described>::DESCRIPTION);
        }

        #belong
    }
}

fn field_description(field: &Field) -> TokenStream {
    let Field { name, doc, ty, presence, form, .. } = field;
    let none = || quote!(::core::option::Option::None);
    let (since, when) = match presence {
        Presence::Always => (0, none()),
        Presence::Since(since) => (*since, none()),
        Presence::When(when) => (0, quote!(::core::option::Option::Some(::core::stringify!(#when)))),
    };
    let max = match form {
        Form::Counted { max: Some(max), .. } | Form::Bounded(max) => {
            quote!(::core::option::Option::Some((#max) as u64))
        }
        _ => none(),
    };
    quote! {
        ::vmstate::description::FieldDescription {
            name: #name,
            doc: #doc,
            ty: <#ty as ::vmstate::Typed>::TYPE,
            since: #since,
            when: #when,
            max: #max,
        }
    }
}

/// The method.
pub(crate) fn describe_body(model: &Model, context: &TokenStream) -> TokenStream {
    let (name, version) = (&model.name, model.version);
    let fields = model.fields.iter().map(|field| describe_field(field, context));
    let slots = model.subsections.iter().map(|subsection| &subsection.ident);
    let types = model.subsections.iter().map(|subsection| &subsection.ty);
    quote! {
        fn describe_body(&self) -> ::vmstate::vmdesc::StructDesc {
            let mut body = ::vmstate::vmdesc::StructDesc::new(#name, #version);
            #(#fields)*
            #(
                if let ::core::option::Option::Some(value) = &self.#slots {
                    body.subsections.push(<#types as ::vmstate::VmState<#context>>::describe_body(value));
                }
            )*
            body
        }
    }
}

fn describe_field(field: &Field, context: &TokenStream) -> TokenStream {
    let Field { ident, name, ty, form, .. } = field;
    let describe = match form {
        Form::Counted { .. } => quote!(<#ty as ::vmstate::field::CountedField<#context>>::describe_counted),
        _ => quote!(<#ty as ::vmstate::Field<#context>>::describe),
    };
    match field.presence {
        Presence::Always => quote!(body.fields.extend(#describe(&self.#ident, #name));),
        Presence::Since(_) | Presence::When(_) => quote! {
            if let ::core::option::Option::Some(value) = &self.#ident {
                body.fields.extend(#describe(value, #name));
            }
        },
    }
}
