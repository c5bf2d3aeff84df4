//! What stands in the brackets of an attribute.
//!
//! Every mistake is an error at its own place, and says what would be right.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Lit, LitInt, LitStr, Token};

/// How many shards, if it is said.
#[derive(Clone, Debug)]
pub(crate) enum Shards {
    All,
    Count(usize),
}

/// The options that have been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) shards: Option<Shards>,
    /// The name of a `Choice`.
    pub(crate) driver: Option<Ident>,
}

/// `name = value`.
struct Setting {
    name: Ident,
    value: Lit,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        let _: Token![=] = input.parse().map_err(|error| {
            Error::new(
                error.span(),
                format!("`{name}` needs a value: `{name} = …`"),
            )
        })?;
        Ok(Self {
            name,
            value: input.parse()?,
        })
    }
}

impl Options {
    /// Reads the options of an attribute that knows those `known`.
    pub(crate) fn read(arguments: TokenStream, known: &[&str]) -> syn::Result<Self> {
        let list = Punctuated::<Setting, Token![,]>::parse_terminated;
        let settings = syn::parse::Parser::parse2(list, arguments)?;
        let mut options = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        for Setting { name, value } in settings {
            if !known.iter().any(|known| name == *known) {
                let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
                let known = known.join(" and ");
                let message = format!("there is no option `{name}` here; there is {known}");
                return Err(Error::new(name.span(), message));
            }
            if seen.contains(&name) {
                let message = format!("`{name}` is given twice");
                return Err(Error::new(name.span(), message));
            }
            if name == "shards" {
                options.shards = Some(shards(&value)?);
            } else {
                options.driver = driver(&value)?;
            }
            seen.push(name);
        }
        Ok(options)
    }

    /// The builder that these options ask for.
    pub(crate) fn builder(&self) -> TokenStream {
        let driver = self
            .driver
            .as_ref()
            .map(|driver| quote!(.driver(::annulet::Choice::#driver)));
        let shards = match self.shards {
            Some(Shards::Count(count)) => Some(quote!(.shards(#count))),
            _ => None,
        };
        quote!(::annulet::Builder::new() #driver #shards)
    }
}

fn shards(value: &Lit) -> syn::Result<Shards> {
    let count = |number: &LitInt| number.base10_parse().ok().filter(|count| *count > 0);
    match value {
        Lit::Int(number) => count(number).map(Shards::Count),
        Lit::Str(word) if word.value() == "all" => Some(Shards::All),
        _ => None,
    }
    .ok_or_else(|| Error::new(value.span(), "`shards` is a number above zero or \"all\""))
}

fn driver(value: &Lit) -> syn::Result<Option<Ident>> {
    let name = match value {
        Lit::Str(word) => LitStr::value(word),
        _ => String::new(),
    };
    let choice = match name.as_str() {
        "auto" => "Auto",
        "uring" => "Uring",
        "poll" => "Poll",
        _ => {
            let message = "`driver` is \"auto\", \"uring\" or \"poll\"";
            return Err(Error::new(value.span(), message));
        }
    };
    Ok(Some(Ident::new(choice, value.span())))
}
