//! Other systems: random bytes from the keys that the standard library's hash maps are seeded with.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

/// Fills with bytes that nobody guesses: each eight are a keyed hash, and the system has made the
/// key.
pub(in super::super) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    for part in bytes.chunks_mut(size_of::<u64>()) {
        let random = RandomState::new().build_hasher().finish().to_ne_bytes();
        part.copy_from_slice(&random[..part.len()]);
    }
    Ok(())
}
