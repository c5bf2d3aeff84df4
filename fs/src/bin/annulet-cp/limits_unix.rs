//! What the system grants the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are enough for any copy.
const ENOUGH: u64 = 16 * 1024;

/// Takes as many descriptors as are ours for the asking: the usual limit is for programs that call
/// `select(2)`, which knows no more than 1,024.
pub(crate) fn take_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if current.is_some_and(|now| now < wanted) {
        let current = Some(wanted);
        // The copy keeps to what there is.
        let _as_it_is = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    }
}
