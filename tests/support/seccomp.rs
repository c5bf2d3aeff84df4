//! A filter of system calls, as container runtimes install them.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule};

/// From here on, in this thread and those it starts, these calls are answered so; only those that
/// meet one of the rules, if there are any.
pub(crate) fn answer(calls: &[libc::c_long], rules: &[SeccompRule], action: SeccompAction) {
    let filter = SeccompFilter::new(
        calls.iter().map(|call| (*call, rules.to_vec())).collect(),
        SeccompAction::Allow,
        action,
        std::env::consts::ARCH.try_into().expect("a known machine"),
    );
    let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a small filter");
    seccompiler::apply_filter(&program).expect("seccomp is there");
}
