//! Patterns without their names: whether a value matches, without taking it apart.
//!
//! `select!` has to know in the poll whether an output matches, and binds it after that, outside. A
//! pattern that binds nothing moves nothing, so each name becomes `_`. A single word may also be a
//! constant or a variant, as `None`; Rust tells these apart by what is in scope, and a macro by
//! their capital.

use syn::{FieldPat, Pat, PatWild, Token};

/// The pattern without its names, or nothing if it matches every value.
pub(crate) fn test(pattern: &Pat) -> Option<Pat> {
    let mut test = pattern.clone();
    unname(&mut test);
    (!matches_all(&test)).then_some(test)
}

/// Whether it surely matches everything; a struct may or may not.
fn matches_all(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) => true,
        Pat::Paren(inner) => matches_all(&inner.pat),
        Pat::Reference(inner) => matches_all(&inner.pat),
        Pat::Tuple(parts) => parts.elems.iter().all(matches_all),
        _ => false,
    }
}

fn unname(pattern: &mut Pat) {
    match pattern {
        Pat::Ident(name) => {
            if let Some((_, inner)) = name.subpat.take() {
                *pattern = *inner;
                return unname(pattern);
            }
            let binds = name.by_ref.is_some() || name.mutability.is_some();
            let capital = name
                .ident
                .to_string()
                .trim_start_matches(['_', 'r', '#'])
                .starts_with(char::is_uppercase);
            if binds || !capital {
                *pattern = wild(name.ident.span());
            }
        }
        Pat::Or(cases) => cases.cases.iter_mut().for_each(unname),
        Pat::Paren(inner) => unname(&mut inner.pat),
        Pat::Reference(inner) => unname(&mut inner.pat),
        Pat::Slice(parts) => parts.elems.iter_mut().for_each(unname),
        Pat::Struct(parts) => parts.fields.iter_mut().for_each(unname_field),
        Pat::Tuple(parts) => parts.elems.iter_mut().for_each(unname),
        Pat::TupleStruct(parts) => parts.elems.iter_mut().for_each(unname),
        Pat::Type(inner) => unname(&mut inner.pat),
        _ => {}
    }
}

/// A field alone, as in `Point { x, y }`, is its own name: that stays, before a colon.
fn unname_field(field: &mut FieldPat) {
    if field.colon_token.is_none() {
        let span = syn::spanned::Spanned::span(&field.member);
        field.colon_token = Some(Token![:](span));
        *field.pat = wild(span);
        return;
    }
    unname(&mut field.pat);
}

fn wild(span: proc_macro2::Span) -> Pat {
    Pat::Wild(PatWild {
        attrs: Vec::new(),
        underscore_token: Token![_](span),
    })
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::Pat;
    use syn::parse::Parser;

    /// The test of a pattern, as source.
    fn test(source: &str) -> String {
        let pattern = Pat::parse_multi_with_leading_vert
            .parse_str(source)
            .expect("a pattern");
        super::test(&pattern).map_or(String::from("all"), |test| {
            test.to_token_stream().to_string().replace(' ', "")
        })
    }

    #[test]
    fn names_become_wild_and_constants_stay() {
        for (source, expected) in [
            ("x", "all"),
            ("mut x", "all"),
            ("ref mut x", "all"),
            ("_", "all"),
            ("_unused", "all"),
            ("()", "all"),
            ("(a, &b, ..)", "all"),
            ("None", "None"),
            ("MAX", "MAX"),
            ("ref X", "all"),
            ("Some(x)", "Some(_)"),
            ("Ok(n @ 1..=9) | Err(n)", "Ok(1..=9)|Err(_)"),
            ("all @ Some(_)", "Some(_)"),
            ("[first, rest @ ..]", "[_,..]"),
            ("Point { x, ref y, z: 3, .. }", "Point{x:_,y:_,z:3,..}"),
            ("Some(&(mut a, 7))", "Some(&(_,7))"),
            ("std::cmp::Ordering::Less", "std::cmp::Ordering::Less"),
            ("(true, x)", "(true,_)"),
        ] {
            assert_eq!(test(source), expected, "{source}");
        }
    }
}
