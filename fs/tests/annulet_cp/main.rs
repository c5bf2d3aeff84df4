//! `annulet-cp` as its user meets it: what is copied, what is refused, what is said and returned.
//!
//! Every test runs the command itself, on both drivers; `poll` does without io_uring everywhere.
#![cfg(unix)]

mod durable;
mod fuse;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../ground/mod.rs"]
mod ground;
mod grounds;
mod instead;
mod like_cp;
mod options;
mod places;
mod refusals;
mod rights;
mod said;
mod scratch;
mod signals;
mod terminal;
mod tree;
mod trees;
mod troubles;
