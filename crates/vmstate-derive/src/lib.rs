//! `#[derive(VmState)]`.
#![forbid(unsafe_code)]
use proc_macro::TokenStream;

/// Derives `VmState`.
#[proc_macro_derive(VmState, attributes(vmstate))]
pub fn derive(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
