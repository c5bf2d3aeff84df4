//! Bytes of which each run tells where it belongs.

/// So many bytes, other ones for each seed.
pub(crate) fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|place| u8::try_from((place * 31 + seed * 7 + place / 251) % 251).expect("small"))
        .collect()
}
