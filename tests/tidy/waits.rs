//! What can be given up: every public function of the libraries that is asynchronous or gives a
//! future or a stream, found without a parser of Rust.
//!
//! A function counts if it is an `async fn`, begins with `poll_`, or if its answer names `impl
//! Future`, `impl Stream`, or a type that the libraries make a `Future`, a `Stream` or an alias of a
//! boxed one. A name in a macro's pattern, as `$Stream`, stands for the types the macro is used
//! for; the first of them speaks for all ([`STAND_INS`]).

use std::collections::BTreeSet;

use crate::rules::is_library;
use crate::source::{Source, name_at_start, words};

/// Where the files' items are found by who uses them. The first prefix that fits counts.
const MODULES: &[(&str, &str)] = &[
    ("net/src/pipe/", "net::pipe"),
    ("net/src/http.rs", "net::http"),
    ("net/src/", "net"),
    ("fs/src/copy/", "fs::copy"),
    ("fs/src/", "fs"),
    ("runtime/src/op/", "op"),
    ("runtime/src/process/", "process"),
    ("runtime/src/signal/unix.rs", "signal::unix"),
    ("runtime/src/signal/", "signal"),
    ("runtime/src/stdio/", "stdio"),
    ("runtime/src/stream/", "stream"),
    ("runtime/src/sync/broadcast/", "sync::broadcast"),
    ("runtime/src/sync/mpsc/", "sync::mpsc"),
    ("runtime/src/sync/oneshot/", "sync::oneshot"),
    ("runtime/src/sync/queue/", "sync::queue"),
    ("runtime/src/sync/rendezvous/", "sync::rendezvous"),
    ("runtime/src/sync/watch/", "sync::watch"),
    ("runtime/src/sync/", "sync"),
    ("runtime/src/task/", "task"),
    ("runtime/src/time/", "time"),
    ("", "annulet"),
];

/// The types that speak for all for which a macro is used.
const STAND_INS: &[(&str, &str)] = &[
    ("$Stream", "TcpStream"),
    ("$Listener", "UnixListener"),
    ("$name", "Stdout"),
];

/// What looks like a wait by the name of a type and is none, each with the reason.
const NOT_WAITS: &[(&str, &str)] = &[
    (
        "GroupError::cancelled",
        "an error, not the future of that name",
    ),
    (
        "MaybeDone::poll_done",
        "a part of what the macros expand to",
    ),
    ("Contenders::contest", "a part of `race`"),
    ("Sender::subscribe", "makes an end of a channel"),
    ("Receiver::resubscribe", "makes an end of a channel"),
];

/// A public function whose work may be given up half-way.
pub(crate) struct Wait<'a> {
    pub(crate) source: &'a Source,
    pub(crate) at: usize,
    /// The module it is in, for who uses it.
    pub(crate) module: &'static str,
    /// `function` or `Type::method`.
    pub(crate) name: String,
}

/// All of them, in the order of the files.
pub(crate) fn waits(sources: &[Source]) -> Vec<Wait<'_>> {
    let futures = futures(sources);
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| is_library(source)) {
        for at in source.words("fn") {
            if !source.in_test(at) && is_public(source, at) {
                found.extend(wait(source, at, &futures));
            }
        }
    }
    found
}

/// The types that are futures or streams, each with the crate it is of.
fn futures(sources: &[Source]) -> BTreeSet<(&str, &str)> {
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|source| is_library(source)) {
        let mut note = |name| found.insert((library(source), name));
        for at in ["Future", "Stream"].iter().flat_map(|of| source.words(of)) {
            if let Some(rest) = source.code[at + "Future".len()..].strip_prefix(" for ") {
                note(name_at_start(rest));
            }
        }
        for at in source.words("type") {
            let rest = source.code[at + "type".len()..].trim_start();
            let alias = rest.split(';').next().unwrap_or_default();
            if ["dyn Future", "dyn Stream"]
                .iter()
                .any(|of| alias.contains(of))
            {
                note(name_at_start(alias));
            }
        }
    }
    // Of pointers, and of macros' variables.
    found.retain(|(_, name)| name.starts_with(|first: char| first.is_ascii_uppercase()));
    found
}

fn library(source: &Source) -> &str {
    source.path.split('/').next().unwrap_or_default()
}

fn wait<'a>(source: &'a Source, at: usize, futures: &BTreeSet<(&str, &str)>) -> Option<Wait<'a>> {
    let rest = source.code[at + "fn".len()..].trim_start();
    let function = name_at_start(rest);
    let owner = source.owner(at);
    let answer = answer(rest).replace("Self::", "");
    let is_waited_for =
        |(of, name): &(&str, &str)| *of == library(source) && !words(&answer, name).is_empty();
    // The ends of a channel are no waits. What answers `Self` makes or changes one.
    let waits = source.code[..at].trim_end().ends_with("async")
        || function.starts_with("poll_")
        || answer.contains("impl Future")
        || answer.contains("impl Stream")
        || !answer.contains("(Sender") && futures.iter().any(is_waited_for);
    let (_, module) = MODULES
        .iter()
        .find(|(prefix, _)| source.path.starts_with(prefix))
        .expect("the last fits all");
    let name = match owner {
        Some(owner) => format!("{}::{function}", stand_in(owner)),
        None => function.to_owned(),
    };
    let waits = waits && NOT_WAITS.iter().all(|(other, _)| *other != name);
    waits.then_some(Wait {
        source,
        at,
        module,
        name,
    })
}

fn stand_in(name: &str) -> &str {
    let found = STAND_INS.iter().find(|(variable, _)| *variable == name);
    found.map_or(name, |(_, stands_in)| stands_in)
}

/// Whether the function at an offset is there for others: `pub`, or a method of a public trait.
fn is_public(source: &Source, at: usize) -> bool {
    let before = source.code[..at].trim_end();
    let before = ["async", "const", "unsafe"]
        .iter()
        .fold(before, |before, word| {
            before.strip_suffix(word).unwrap_or(before).trim_end()
        });
    before.ends_with("pub") && !words(&before[before.len() - "pub".len()..], "pub").is_empty()
        || source.in_public_trait(at)
}

/// The type that a signature answers; it begins with the name.
fn answer(signature: &str) -> &str {
    let mut depth = 0_usize;
    let mut start = None;
    for (at, byte) in signature.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'>' if depth == 0 && signature[..at].ends_with('-') => start = start.or(Some(at + 1)),
            b'{' | b';' if depth == 0 => return start.map_or("", |start| &signature[start..at]),
            _ => {}
        }
    }
    ""
}

mod tests {
    use super::waits;
    use crate::source::Source;

    #[test]
    fn whatever_can_be_given_up_is_found_by_its_name() {
        let code = "impl<'a, T: Fn() -> u8> Future for Read<'a, T> {}\n\
                    impl Stream for Items {}\n\
                    pub type Asking = Pin<Box<dyn Future<Output = ()>>>;\n\
                    pub async fn open() {}\n\
                    impl<T> File<T> where T: Copy {\n    \
                        pub(crate) async fn hidden(&self) {}\n    \
                        pub fn read(&self, f: impl Fn() -> u8) -> Read<'_, T> { loop {} }\n    \
                        pub fn all(self) -> io::Result<Items> {}\n    \
                        pub fn poll_it(&self) {}\n    \
                        pub fn later(&self) -> impl Future<Output = ()> {}\n    \
                        pub fn len(&self) -> usize {}\n}\n\
                    pub trait Ask { fn ask(&self) -> Asking; fn name(&self) -> String; }\n\
                    macro_rules! m { ($Stream:ty) => { impl $Stream { pub async fn recv(&self) {} } } }\n\
                    impl<T> Read<'_, T> { pub fn slowly(self) -> Self {} }\n\
                    mod tests { async fn f() {} }\n";
        let sources = [Source::new("net/src/a.rs", code)];
        let found: Vec<String> = waits(&sources).into_iter().map(|wait| wait.name).collect();
        let expected = [
            "open",
            "File::read",
            "File::all",
            "File::poll_it",
            "File::later",
            "Ask::ask",
            "TcpStream::recv",
        ];
        assert_eq!(found, expected);
    }
}
