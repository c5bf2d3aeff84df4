//! `select!`: reading the branches, and what is written for them.
//!
//! What is written, for two branches of which the second has a condition:
//!
//! ```text
//! {
//!     enum Chosen<A, B> { Branch0(A), Branch1(B), Else }
//!     let mut enabled: u64 = 0b01 | (condition as u64) << 1;
//!     let chosen = match (future0.into_future(), if … { Some(future1.into_future()) } else { None }) {
//!         (branch0, branch1) => {
//!             pin both;
//!             poll_fn(|cx| ask those that are enabled; disable what does not match).await
//!         }
//!     };
//!     match chosen { Branch0(pattern) => handler, Branch1(pattern) => handler, Else => handler }
//! }
//! ```
//!
//! The futures end with the inner `match`, before a handler runs, so a handler may use what they
//! borrowed; handlers stand in no closure and no loop, so `?`, `break` and `return` mean what they
//! do outside. All names are of mixed site, where nobody else can see them (but the type's, which
//! is odd instead); the words of the caller keep their places, and with them the errors.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, Pat, Token};

use crate::pattern;

/// One bit for each branch.
const BRANCHES_MAX: usize = 64;

/// `pattern = future, if condition => handler`.
struct Branch {
    pattern: Pat,
    future: Expr,
    condition: Option<Expr>,
    handler: Expr,
}

/// All that stands in the macro.
struct Select {
    /// The path by which the caller knows the runtime.
    runtime: TokenStream,
    biased: bool,
    branches: Vec<Branch>,
    otherwise: Option<Expr>,
}

impl Parse for Branch {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        // An arrow begins with the sign that is looked for.
        if input.peek(Token![=>]) || !input.peek(Token![=]) {
            return Err(input.error("expected `=`: a branch is `pattern = future => handler`"));
        }
        let _: Token![=] = input.parse()?;
        let future: Expr = input.parse()?;
        let mut condition = None;
        if input.peek(Token![,]) {
            let _: Token![,] = input.parse()?;
            expect(
                input.parse::<Token![if]>(),
                "after the future comes `=> handler`, or `, if condition => handler`",
            )?;
            condition = Some(plain_condition(input.parse()?)?);
        } else if input.peek(Token![if]) {
            return Err(input.error("a comma stands before the condition: `future, if condition`"));
        }
        Ok(Self {
            pattern,
            future,
            condition,
            handler: handler(input)?,
        })
    }
}

fn plain_condition(condition: Expr) -> syn::Result<Expr> {
    if let Expr::Let(binding) = &condition {
        let message = "a condition of select! is a plain `bool`: it has no `let`";
        return Err(Error::new_spanned(binding.let_token, message));
    }
    Ok(condition)
}

/// The error of a parser, with what would be right.
fn expect<T>(read: syn::Result<T>, right: &str) -> syn::Result<T> {
    read.map_err(|error| Error::new(error.span(), format!("{error}: {right}")))
}

/// `=> handler`, with the comma after it, which a block does without.
fn handler(input: ParseStream<'_>) -> syn::Result<Expr> {
    expect(input.parse::<Token![=>]>(), "a branch needs `=> handler`")?;
    let handler = Expr::parse_with_earlier_boundary_rule(input)?;
    let needs_comma = !matches!(
        handler,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Unsafe(_)
    );
    if input.peek(Token![,]) {
        let _: Token![,] = input.parse()?;
    } else if needs_comma && !input.is_empty() {
        return Err(input.error("expected `,` after the handler"));
    }
    Ok(handler)
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let runtime = match input.parse()? {
            TokenTree::Group(path) => path.stream(),
            other => return Err(Error::new_spanned(other, "the path of the runtime")),
        };
        let mut select = Self {
            runtime,
            biased: false,
            branches: Vec::new(),
            otherwise: None,
        };
        let ahead = input.fork();
        if let Ok(word) = ahead.parse::<Ident>()
            && word == "biased"
            && ahead.peek(Token![;])
        {
            let _: (Ident, Token![;]) = (input.parse()?, input.parse()?);
            select.biased = true;
        }
        while !input.is_empty() {
            if input.peek(Token![else]) {
                let _: Token![else] = input.parse()?;
                select.otherwise = Some(handler(input)?);
                if !input.is_empty() {
                    return Err(input.error("`else` comes last, and once"));
                }
                break;
            }
            if select.branches.len() == BRANCHES_MAX {
                let message = format!("select! has at most {BRANCHES_MAX} branches");
                return Err(input.error(message));
            }
            select.branches.push(input.parse()?);
        }
        if select.branches.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "select! needs a branch: `pattern = future => handler`",
            ));
        }
        Ok(select)
    }
}

pub(crate) fn select(input: TokenStream) -> TokenStream {
    match syn::parse2::<Select>(input) {
        Ok(select) => select.expand(),
        Err(error) => {
            let error = error.to_compile_error();
            quote!({ #error })
        }
    }
}

/// A name that nobody else can see.
fn hidden(name: &str, index: usize) -> Ident {
    Ident::new(&format!("{name}{index}"), Span::mixed_site())
}

fn bit(index: usize) -> TokenStream {
    let bit = Literal::u64_suffixed(1 << index);
    quote_spanned!(Span::mixed_site()=> #bit)
}

impl Select {
    fn expand(&self) -> TokenStream {
        let site = Span::mixed_site();
        let types: Vec<Ident> = (0..self.branches.len()).map(|i| hidden("T", i)).collect();
        let variants: Vec<Ident> = self.names("Branch");
        let names: Vec<Ident> = self.names("branch");
        let enabled = self.enabled();
        let futures = self
            .branches
            .iter()
            .enumerate()
            .map(|(index, branch)| branch.future(index));
        let ask = self.ask();
        let patterns = self.branches.iter().map(|branch| &branch.pattern);
        let handlers = self.branches.iter().map(|branch| &branch.handler);
        let otherwise = match &self.otherwise {
            Some(handler) => handler.to_token_stream(),
            None => quote_spanned! {site=>
                ::core::panic!("every branch of select! is disabled, and there is no `else`")
            },
        };
        quote_spanned! {site=> {
            enum __AnnuletChosen<#(#types),*> { #(#variants(#types),)* Else }
            #enabled
            let chosen = match (#(#futures,)*) {
                (#(#names,)*) => {
                    #(let mut #names = ::core::pin::pin!(#names);)*
                    ::core::future::poll_fn(|cx: &mut ::core::task::Context<'_>| { #ask }).await
                }
            };
            match chosen {
                #(__AnnuletChosen::#variants(#patterns) => #handlers,)*
                __AnnuletChosen::Else => #otherwise,
                _ => ::core::unreachable!("a constant in a pattern of select! has a name in lower case"),
            }
        }}
    }

    fn names(&self, name: &str) -> Vec<Ident> {
        (0..self.branches.len()).map(|i| hidden(name, i)).collect()
    }

    /// The mask of the branches whose conditions hold.
    fn enabled(&self) -> TokenStream {
        let bits = self.branches.iter().enumerate().map(|(index, branch)| {
            let bit = bit(index);
            branch.condition.as_ref().map_or(bit.clone(), |condition| {
                let span = condition.span().resolved_at(Span::mixed_site());
                quote_spanned! {span=>
                    { let condition: ::core::primitive::bool = #condition;
                      if condition { #bit } else { 0 } }
                }
            })
        });
        quote_spanned! {Span::mixed_site()=>
            let mut enabled: ::core::primitive::u64 = 0 #(| #bits)*;
        }
    }

    /// The body of one poll.
    fn ask(&self) -> TokenStream {
        let site = Span::mixed_site();
        let asks = self
            .branches
            .iter()
            .enumerate()
            .map(|(index, branch)| branch.ask(index));
        let runtime = &self.runtime;
        let asks = if self.biased || self.branches.len() == 1 {
            let bits = (0..self.branches.len()).map(bit);
            quote_spanned!(site=> #(if enabled & #bits != 0 { #asks })*)
        } else {
            let numbers = (0..self.branches.len()).map(|index| {
                Literal::u32_suffixed(u32::try_from(index).expect("at most 64 branches"))
            });
            quote_spanned! {site=>
                for branch in #runtime::combine::macros::Turns::among(enabled) {
                    match branch {
                        #(#numbers => #asks)*
                        _ => ::core::unreachable!("a turn of no branch"),
                    }
                }
            }
        };
        quote_spanned! {site=>
            #asks
            if enabled == 0 {
                ::core::task::Poll::Ready(__AnnuletChosen::Else)
            } else {
                ::core::task::Poll::Pending
            }
        }
    }
}

impl Branch {
    /// The future, if the branch is enabled. Errors about it stand where the caller wrote it.
    fn future(&self, index: usize) -> TokenStream {
        let future = &self.future;
        let span = future.span().resolved_at(Span::mixed_site());
        let future = quote_spanned!(span=> ::core::future::IntoFuture::into_future(#future));
        if self.condition.is_none() {
            return future;
        }
        let bit = bit(index);
        quote_spanned! {Span::mixed_site()=>
            if enabled & #bit != 0 {
                ::core::option::Option::Some(#future)
            } else {
                ::core::option::Option::None
            }
        }
    }

    /// Polls the future once, and returns from the poll if it is chosen.
    fn ask(&self, index: usize) -> TokenStream {
        let site = Span::mixed_site();
        let (name, variant) = (hidden("branch", index), hidden("Branch", index));
        let bit = bit(index);
        let fits = pattern::test(&self.pattern).map(|pattern| {
            quote_spanned! {site=>
                let fits = match output { #pattern => true, _ => false };
            }
        });
        let chosen = quote_spanned! {site=>
            return ::core::task::Poll::Ready(__AnnuletChosen::#variant(output));
        };
        let chosen = match fits {
            Some(fits) => quote_spanned!(site=> #fits if fits { #chosen }),
            None => chosen,
        };
        let poll = quote_spanned! {site=>
            if let ::core::task::Poll::Ready(output) = ::core::future::Future::poll(future, cx) {
                enabled &= !#bit;
                #chosen
            }
        };
        if self.condition.is_none() {
            return quote_spanned!(site=> { let future = #name.as_mut(); #poll });
        }
        quote_spanned! {site=>
            if let ::core::option::Option::Some(future) = #name.as_mut().as_pin_mut() { #poll }
        }
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;

    use super::Select;

    /// Reads branches as the macro does.
    fn read(source: &str) -> syn::Result<Select> {
        let tokens: TokenStream = format!("(::runtime) {source}").parse().expect("tokens");
        syn::parse2(tokens)
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        for (source, message, place) in [
            ("a = b", "a branch needs `=> handler`", ""),
            ("a => b", "`pattern = future => handler`", "="),
            ("a = b, c = d => e", "`, if condition => handler`", "c"),
            ("a = b if c => d", "a comma stands before", "if"),
            ("a = b, if let c = d => e", "it has no `let`", "let"),
            ("a = b => c d = e => f", "expected `,`", "d"),
            (
                "a = b => c, else => d, e = f => g",
                "`else` comes last",
                "e",
            ),
            ("else => d, else => g", "`else` comes last", "else"),
            ("1 + 2 = b => c", "`pattern = future => handler`", "+"),
            ("biased; else => c", "needs a branch", ""),
            ("", "needs a branch", ""),
        ] {
            let Err(error) = read(source) else {
                panic!("{source} is accepted");
            };
            assert!(error.to_string().contains(message), "{source}: {error}");
            let at = error.span().source_text().unwrap_or_default();
            assert_eq!(at, place, "{source}: {error}");
        }
    }

    #[test]
    fn the_sixty_fifth_branch_is_refused() {
        assert!(read(&"a = b => c,".repeat(64)).is_ok());
        let refused = read(&"a = b => c,".repeat(65)).err().expect("refused");
        assert!(refused.to_string().contains("at most 64"), "{refused}");
    }

    #[test]
    fn commas_are_needed_where_a_match_needs_them() {
        for source in [
            "a = b => c",
            "a = b => c,",
            "a = b => { c } d = e => { f }",
            "a = b => if c { d } else { e } f = g => match h { i => j } else => k",
            "biased; a = b => { c }, else => { d }",
            "biased = b => c",
            "A(x) | B(x) = async { y }.await, if c == d => loop { break } _ = e => f",
        ] {
            assert!(read(source).is_ok(), "{source}");
        }
        let biased = |source| read(source).expect("right").biased;
        assert!(biased("biased; a = b => c"));
        assert!(!biased("biased = b => c"));
    }

    #[test]
    fn only_a_fair_choice_draws() {
        let expand = |source| read(source).expect("right").expand().to_string();
        assert!(
            expand("a = b => c, d = e => f").contains(":: runtime :: combine :: macros :: Turns")
        );
        assert!(!expand("biased; a = b => c, d = e => f").contains("Turns"));
        assert!(!expand("a = b => c").contains("Turns"));
    }
}
