//! What the attributes write.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemFn, ReturnType, Type};

use crate::options::Options;

/// Gives the item back beside the error, so that it is the only one.
fn or_error(item: &TokenStream, expanded: syn::Result<TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(|error| {
        let error = error.to_compile_error();
        quote!(#error #item)
    })
}

fn read(item: &TokenStream, name: &str) -> syn::Result<ItemFn> {
    let function: ItemFn = syn::parse2(item.clone()).map_err(|error| {
        Error::new(
            error.span(),
            format!("#[annulet::{name}] goes on an async fn: {error}"),
        )
    })?;
    if function.sig.asyncness.is_none() {
        let message = format!("#[annulet::{name}] needs an async fn: write `async fn`");
        return Err(Error::new_spanned(function.sig.fn_token, message));
    }
    if let Some(input) = function.sig.inputs.first() {
        let message = format!("a fn under #[annulet::{name}] takes no arguments");
        return Err(Error::new_spanned(input, message));
    }
    if !function.sig.generics.params.is_empty() {
        let message = format!("a fn under #[annulet::{name}] has no parameters of types");
        return Err(Error::new_spanned(&function.sig.generics, message));
    }
    Ok(function)
}

/// The type that the function returns, and where it stands.
fn output(function: &ItemFn) -> (TokenStream, Span) {
    match &function.sig.output {
        ReturnType::Default => (quote!(()), function.sig.ident.span()),
        ReturnType::Type(_, output) => {
            let output: &Type = output;
            (quote!(#output), output.span())
        }
    }
}

pub(crate) fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = expand_main(arguments, &item);
    or_error(&without_async(&item), expanded)
}

/// A `main` that is left `async` would be a second error.
fn without_async(item: &TokenStream) -> TokenStream {
    let Ok(ItemFn { sig, .. }) = syn::parse2::<ItemFn>(item.clone()) else {
        return item.clone();
    };
    let name = sig.ident;
    quote!(fn #name() {})
}

fn expand_main(arguments: TokenStream, item: &TokenStream) -> syn::Result<TokenStream> {
    let function = read(item, "main")?;
    let name = &function.sig.ident;
    if name != "main" {
        let message = "#[annulet::main] goes on `main`; elsewhere call `Runtime::block_on`";
        return Err(Error::new_spanned(name, message));
    }
    let options = Options::read(arguments, &["shards", "driver"])?;
    let builder = options.builder();
    let (output, span) = output(&function);
    let run = match options.shards {
        Some(_) => quote_spanned!(span=> ::annulet::__entry::run_on_shards::<_, _, #output>),
        None => quote_spanned!(span=> ::annulet::__entry::run_here::<_, _, #output>),
    };
    let vis = &function.vis;
    Ok(quote! {
        #vis fn main() -> ::std::process::ExitCode {
            #function
            #run(#builder, main)
        }
    })
}

pub(crate) fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = expand_test(arguments, &item);
    or_error(&item, expanded)
}

fn expand_test(arguments: TokenStream, item: &TokenStream) -> syn::Result<TokenStream> {
    let mut function = read(item, "test")?;
    let options = Options::read(arguments, &["driver"])?;
    let driver = match &options.driver {
        Some(driver) => quote!(::annulet::Choice::#driver),
        None => quote!(::annulet::Choice::Auto),
    };
    let (output, span) = output(&function);
    let run = quote_spanned!(span=> ::annulet::__entry::run_test::<_, _, #output>);
    // Attributes as `should_panic` are the test's, not the inner function's.
    let attributes = std::mem::take(&mut function.attrs);
    let (vis, name) = (&function.vis, &function.sig.ident);
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #vis fn #name() {
            #function
            #run(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                #driver,
                #name,
            );
        }
    })
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::{expand_main, expand_test};

    /// What an attribute objects to, and to which words of the source.
    #[track_caller]
    fn refusal(
        expand: fn(TokenStream, &TokenStream) -> syn::Result<TokenStream>,
        arguments: &str,
        item: &str,
    ) -> (String, String) {
        let arguments: TokenStream = arguments.parse().expect("tokens");
        let item: TokenStream = item.parse().expect("tokens");
        let error = expand(arguments, &item).expect_err("refused");
        (
            error.to_string(),
            error.span().source_text().unwrap_or_default(),
        )
    }

    #[test]
    fn refusals_say_what_is_right_and_stand_at_the_mistake() {
        let main = "async fn main() {}";
        for (arguments, item, message, place) in [
            ("shards = 0", main, "above zero", "0"),
            ("shards = \"most\"", main, "\"all\"", "\"most\""),
            ("shards", main, "`shards = …`", ""),
            ("driver = \"epoll\"", main, "\"poll\"", "\"epoll\""),
            ("driver = 3", main, "\"uring\"", "3"),
            ("threads = 2", main, "`shards` and `driver`", "threads"),
            ("shards = 1, shards = 2", main, "twice", "shards"),
            ("", "fn main() {}", "write `async fn`", "fn"),
            ("", "async fn main(x: u8) {}", "no arguments", "x: u8"),
            ("", "async fn main<T>() {}", "no parameters", "<T>"),
            ("", "async fn serve() {}", "goes on `main`", "serve"),
            ("", "struct Main;", "goes on an async fn", "struct"),
        ] {
            let (said, at) = refusal(expand_main, arguments, item);
            assert!(said.contains(message), "{arguments} {item}: {said}");
            assert_eq!(at, place, "{arguments} {item}: {said}");
        }
    }

    #[test]
    fn a_test_has_no_shards() {
        let (said, at) = refusal(expand_test, "shards = 2", "async fn works() {}");
        assert!(said.contains("there is `driver`"), "{said}");
        assert_eq!(at, "shards");
    }

    #[test]
    fn the_options_reach_the_builder() {
        let item = quote!(
            async fn main() -> std::io::Result<()> {
                Ok(())
            }
        );
        let all = expand_main(quote!(shards = "all", driver = "uring"), &item).expect("right");
        let all = all.to_string();
        assert!(
            all.contains("Choice :: Uring") && all.contains("run_on_shards"),
            "{all}"
        );
        assert!(!all.contains(". shards"), "{all}");
        let three = expand_main(quote!(shards = 3), &item)
            .expect("right")
            .to_string();
        assert!(three.contains(". shards (3usize)"), "{three}");
        let here = expand_main(quote!(), &item).expect("right").to_string();
        assert!(here.contains("run_here"), "{here}");
    }
}
