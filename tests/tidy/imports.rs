//! Who imports whom: between the crates, and between the top modules of the runtime.
//!
//! The layers are the two tables below. A module imports from lower layers and from its own; what
//! runs up is a finding, and so is a cycle, which only modules of one layer can still make. A new
//! module is a finding until it has a place in the table: giving it one is a decision. Code that
//! only tests have looks down from above everything, and is left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::{Finding, finding};
use crate::source::{Source, is_name};

/// The top modules of the runtime, the floor first.
const LAYERS: &[&[&str]] = &[
    &["shim", "error", "panics", "wakers", "locals"],
    &["sys"],
    &["metrics", "buf"],
    &["task"],
    &["driver", "pool"],
    &["executor"],
    &["context"],
    &["op", "debug", "dump", "watch", "roster"],
    &[
        "async_fd", "blocking", "combine", "pooled", "stdio", "stream", "time", "signal",
        "process", "sync", "group",
    ],
    &["runtime", "builder", "shard"],
    &["inspect"],
    &["lib"],
];

/// Two columns stand side by side in the layers, and neither knows the other: I/O and tasks meet
/// in `runtime` alone.
const IO_COLUMN: &[&str] = &["sys", "driver", "pool", "op"];
const TASK_COLUMN: &[&str] = &["task", "executor"];

/// The crates: folder of the sources, name in a path, layer. Crates of one layer do not import
/// each other. The macros only write paths into the code of others, and are the floor.
const CRATES: &[(&str, &str, usize)] = &[
    ("macros/", "annulet_macros", 0),
    ("runtime/", "annulet_runtime", 1),
    ("net/", "annulet_net", 2),
    ("fs/", "annulet_fs", 2),
    ("src/", "annulet", 3),
    ("bench/", "annulet_bench", 4),
];

/// An import of one top module by another, and where it was first seen.
type Edges = BTreeMap<(String, String), (String, usize)>;

/// Imports that run up, in the code or in a manifest.
pub(crate) fn between_crates(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let Some(&(folder, own, layer)) = CRATES
            .iter()
            .find(|(folder, ..)| source.path.starts_with(folder))
        else {
            continue;
        };
        let outside = source.is_test_file() || own == "annulet_macros";
        if source.path == format!("{folder}Cargo.toml") {
            findings.extend(dependencies_upward(source, own, layer));
        }
        if outside || !source.path.ends_with(".rs") {
            continue;
        }
        for &(_, other, other_layer) in CRATES {
            if other == own || other_layer < layer {
                continue;
            }
            for at in source.words(other) {
                let path = source.code[at + other.len()..]
                    .trim_start()
                    .starts_with("::");
                if path && !source.in_test(at) {
                    findings.push(finding(
                        source,
                        at,
                        format!("{own} must not import {other}"),
                    ));
                }
            }
        }
    }
    findings
}

fn dependencies_upward(manifest: &Source, own: &str, layer: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut offset, mut counts) = (0, false);
    for line in manifest.text.split_inclusive('\n') {
        if line.starts_with('[') {
            counts = line.contains("dependencies") && !line.contains("dev-dependencies");
        }
        let name = line
            .split([' ', '.', '='])
            .next()
            .unwrap_or_default()
            .replace('-', "_");
        for &(_, other, other_layer) in CRATES {
            if counts && name == other && other != own && other_layer >= layer {
                findings.push(finding(
                    manifest,
                    offset,
                    format!("{own} must not need {other}"),
                ));
            }
        }
        offset += line.len();
    }
    findings
}

/// Imports that run up inside the runtime, modules without a layer, and cycles.
pub(crate) fn inside_runtime(sources: &[Source]) -> Vec<Finding> {
    let files: Vec<(&Source, Vec<&str>)> = sources
        .iter()
        .filter(|source| !source.is_test_file())
        .filter_map(|source| Some((source, module_path(&source.path)?)))
        .collect();
    let modules: BTreeSet<&str> = files.iter().map(|(_, path)| top(path)).collect();
    let mut findings = Vec::new();
    let mut edges = Edges::new();
    for (source, path) in &files {
        let from = top(path);
        if layer_of(from).is_none() {
            findings.push(finding(
                source,
                0,
                format!("module `{from}` has no layer in tests/tidy"),
            ));
        }
        for (at, name) in imports(source, path.len()) {
            let to = if modules.contains(name.as_str()) {
                name.as_str()
            } else {
                "lib"
            };
            if to == from {
                continue;
            }
            if let Some(reason) = forbidden(from, to) {
                let text = format!("`{from}` must not import `{name}`: {reason}");
                findings.push(finding(source, at, text));
            }
            let place = (source.path.clone(), source.line(at));
            edges
                .entry((from.to_owned(), to.to_owned()))
                .or_insert(place);
        }
    }
    findings.extend(cycle(&edges));
    findings
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn forbidden(from: &str, to: &str) -> Option<&'static str> {
    if to == "lib" {
        return Some("it is an item of the crate's root; name the module it lives in");
    }
    let columns = [(IO_COLUMN, TASK_COLUMN), (TASK_COLUMN, IO_COLUMN)];
    if columns
        .iter()
        .any(|(one, other)| one.contains(&from) && other.contains(&to))
    {
        return Some("I/O and tasks meet in `runtime` alone");
    }
    (layer_of(from)? < layer_of(to)?).then_some("it runs up")
}

/// The modules from the root of the runtime down to the file; empty for the root itself.
fn module_path(path: &str) -> Option<Vec<&str>> {
    let inside = path.strip_prefix("runtime/src/")?.strip_suffix(".rs")?;
    let mut parts: Vec<&str> = inside.split('/').collect();
    if matches!(parts.last(), Some(&"mod" | &"lib")) {
        parts.pop();
    }
    Some(parts)
}

fn top<'a>(path: &[&'a str]) -> &'a str {
    path.first().copied().unwrap_or("lib")
}

/// Every name directly under the crate's root that the code of a file reaches, by `crate::` or by
/// climbing with `super::`. `depth` is how far the file is from the root.
fn imports(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in source.words("crate") {
        found.extend(
            heads(&source.code[at + "crate".len()..])
                .into_iter()
                .map(|name| (at, name)),
        );
    }
    for at in source.words("super") {
        if source.code[..at].trim_end().ends_with("::") {
            continue;
        }
        let (mut rest, mut climbed) = (&source.code[at + "super".len()..], 1);
        while let Some(next) = rest.trim_start().strip_prefix("::").map(str::trim_start)
            && let Some(after) = next.strip_prefix("super")
        {
            (rest, climbed) = (after, climbed + 1);
        }
        if climbed == depth + source.inline_modules(at) {
            found.extend(heads(rest).into_iter().map(|name| (at, name)));
        }
    }
    found.retain(|&(at, _)| !source.in_test(at));
    found
}

/// The first names of a path or of a group of paths: `::a::b` has `a`, `::{a::b, c}` has `a`, `c`.
/// A macro has no module, so `::name!` has none.
fn heads(path: &str) -> Vec<String> {
    let Some(path) = path.trim_start().strip_prefix("::") else {
        return Vec::new();
    };
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        return head(path).into_iter().collect();
    };
    let (mut found, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b',' | b'}' if depth == 0 => {
                found.extend(head(group[start..at].trim_start()));
                start = at + 1;
                if byte == b'}' {
                    break;
                }
            }
            b'}' => depth -= 1,
            _ => {}
        }
    }
    found
}

fn head(path: &str) -> Option<String> {
    let length = path.bytes().take_while(|&byte| is_name(byte)).count();
    let (name, rest) = path.split_at(length);
    let is_macro = rest.trim_start().starts_with('!');
    let item = if path.starts_with('*') { "*" } else { name };
    (!is_macro && !item.is_empty() && item != "self").then(|| item.to_owned())
}

/// One cycle, if the imports have any.
fn cycle(edges: &Edges) -> Option<Finding> {
    let mut done = BTreeSet::new();
    let starts: BTreeSet<&str> = edges.keys().map(|(from, _)| from.as_str()).collect();
    for start in starts {
        let mut trail = Vec::new();
        if let Some(names) = walk(edges, start, &mut trail, &mut done) {
            let last = (
                names[names.len() - 2].clone(),
                names[names.len() - 1].clone(),
            );
            let (path, line) = &edges[&last];
            return Some(Finding::at(
                path,
                *line,
                format!("imports in a cycle: {}", names.join(" > ")),
            ));
        }
    }
    None
}

fn walk<'a>(
    edges: &'a Edges,
    module: &'a str,
    trail: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<String>> {
    if let Some(start) = trail.iter().position(|&name| name == module) {
        let cycle = trail[start..].iter().chain([&module]);
        return Some(cycle.map(ToString::to_string).collect());
    }
    if done.contains(module) {
        return None;
    }
    trail.push(module);
    for (from, to) in edges.keys() {
        if from == module
            && let Some(cycle) = walk(edges, to, trail, done)
        {
            return Some(cycle);
        }
    }
    trail.pop();
    done.insert(module);
    None
}

mod tests {
    use super::{between_crates, inside_runtime};
    use crate::source::Source;

    fn runtime(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(&format!("runtime/src/{path}"), text))
            .collect();
        inside_runtime(&sources)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn imports_that_run_down_pass() {
        let found = runtime(&[
            ("lib.rs", "pub use crate::runtime::Runtime;"),
            (
                "runtime.rs",
                "use crate::{driver::Driver, executor::{Executor, Park}};",
            ),
            (
                "op/mod.rs",
                "use crate::driver::Slot; use super::sys::fd; mod read; use self::read::A;",
            ),
            ("op/read.rs", "use super::Op; crate::say!(1);"),
            (
                "driver/mod.rs",
                "pub(crate) struct A; pub(in crate::driver) struct B;",
            ),
            ("sys/mod.rs", ""),
            ("executor/mod.rs", "use crate::task::Task;"),
            (
                "task/mod.rs",
                "#[cfg(test)] mod tests { use crate::runtime::Runtime; use super::*; }",
            ),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn imports_that_run_up_are_found() {
        let files = |driver| {
            [
                ("driver/mod.rs", driver),
                ("op/mod.rs", ""),
                ("task/mod.rs", ""),
            ]
        };
        for text in [
            "use crate::op::Op;",
            "use crate::{op::Op};",
            "use super::op::Op;",
            "mod inner { use super::super::op; }",
            "fn f() { crate :: op :: g(); }",
            "use crate::task::Task;",
            "use crate::Rooted;",
        ] {
            assert_eq!(runtime(&files(text)).len(), 1, "{text}");
        }
        let nested = [
            ("driver/uring/ring.rs", "use super::super::super::op;"),
            ("op/mod.rs", ""),
        ];
        assert_eq!(runtime(&nested).len(), 1);
    }

    #[test]
    fn a_cycle_inside_a_layer_is_found() {
        let found = runtime(&[
            ("time/mod.rs", "use crate::signal::A;"),
            ("signal.rs", "use crate::process::B;"),
            ("process.rs", "use crate::time::C;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("process > time > signal > process"),
            "{found:?}"
        );
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        assert_eq!(runtime(&[("novelty.rs", "")]).len(), 1);
    }

    #[test]
    fn crates_that_import_upward_or_sideways_are_found() {
        let found = |path, text| between_crates(&[Source::new(path, text)]).len();
        assert_eq!(found("runtime/src/a.rs", "use annulet_net::Tcp;"), 1);
        assert_eq!(found("net/src/a.rs", "use annulet_fs::File;"), 1);
        assert_eq!(
            found(
                "net/src/a.rs",
                "use annulet_runtime::A; // annulet_fs::File"
            ),
            0
        );
        assert_eq!(found("net/src/a.rs", "fn f() { annulet::net() }"), 1);
        assert_eq!(found("net/tests/a.rs", "use annulet::net;"), 0);
        assert_eq!(
            found(
                "src/lib.rs",
                "pub use annulet_net as net; use annulet_net::A;"
            ),
            0
        );
        assert_eq!(
            found(
                "fs/Cargo.toml",
                "[dependencies]\nannulet-net.workspace = true\n"
            ),
            1
        );
        assert_eq!(
            found(
                "fs/Cargo.toml",
                "[dev-dependencies]\nannulet.workspace = true\n"
            ),
            0
        );
        assert_eq!(
            found("fs/Cargo.toml", "[dependencies]\nannulet-runtime = \"1\"\n"),
            0
        );
    }
}
