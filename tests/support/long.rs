//! How much a test does: enough to see a mistake at each run, and the whole when asked.

/// `full` where `ANNULET_LONG` is set, else `short`.
pub(crate) fn count(short: u32, full: u32) -> u32 {
    match std::env::var_os("ANNULET_LONG") {
        Some(_) => full,
        None => short,
    }
}
