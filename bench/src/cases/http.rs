//! HTTP/1.1 over loopback, answered by hyper: what a stream costs a library that brings its own
//! buffers.
//!
//! Connections stay open, and each asks again when it has its answer. GET is what services are
//! compared with; the POST cases have hyper read bodies of growing size, which is where ways to
//! receive differ.

use crate::case::{Case, Client, Http, Work};

const CONNECTIONS: [u32; 3] = [1, 50, 500];
const BODY_BYTES: [usize; 3] = [1024, 16 * 1024, 256 * 1024];

/// The HTTP cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    let gets = CONNECTIONS.map(|connections| (format!("http/{connections}"), connections, 0));
    let posts = BODY_BYTES.map(|bytes| (format!("http/50-post-{bytes}"), 50, bytes));
    let all = gets.into_iter().chain(posts);
    all.map(|(name, connections, body_bytes)| {
        let client = match connections {
            1 => Client::Spinning,
            _ => Client::Saturating,
        };
        let work = Work::Http(Http {
            connections,
            body_bytes,
            client,
        });
        Case { name, work }
    })
    .collect()
}
