//! Attributes: `#[annulet::main]` and `#[annulet::test]`.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use quote::quote;
use syn::{ItemFn, parse_macro_input};

fn check(function: &ItemFn, name: &str) -> Result<(), syn::Error> {
    if function.sig.asyncness.is_none() {
        let message = format!("#[annulet::{name}] needs an async fn");
        return Err(syn::Error::new_spanned(function.sig.fn_token, message));
    }
    if let Some(input) = function.sig.inputs.first() {
        let message = format!("an fn under #[annulet::{name}] takes no arguments");
        return Err(syn::Error::new_spanned(input, message));
    }
    Ok(())
}

/// Runs an `async fn main` on a shard of the calling thread.
#[proc_macro_attribute]
pub fn main(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check(&function, "main") {
        return error.to_compile_error().into();
    }
    function.sig.asyncness = None;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    quote! {
        #(#attrs)* #vis #sig {
            let runtime = match ::annulet::Builder::new().build() {
                ::std::result::Result::Ok(runtime) => runtime,
                ::std::result::Result::Err(error) => {
                    ::std::panic!("the annulet runtime could not start: {error}")
                }
            };
            runtime.block_on(async move #block)
        }
    }
    .into()
}

/// Runs an `async fn` as a test on every driver that this machine offers, and says which it left out
/// and why.
#[proc_macro_attribute]
pub fn test(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check(&function, "test") {
        return error.to_compile_error().into();
    }
    function.sig.asyncness = None;
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)* #vis #sig {
            ::annulet::for_each_driver(|runtime| {
                runtime.block_on(async #block);
            });
        }
    }
    .into()
}
