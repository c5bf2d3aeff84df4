//! What a copy keeps beside contents: owner, attributes, times, mode, in this order.
//!
//! A change of owner takes set-id bits and capabilities away, so it comes first; times come after
//! all that changes them; the mode comes last, because it may take away the right to do more, and
//! because until then nobody else may use the copy. Rights of an owner are lent on only by a copy
//! of the same owner. What one of these steps is refused keeps none of the others from being done.

use std::ffi::OsStr;
use std::io;

use super::options::Preserve;
use super::platform::{self, Folder, Open};
use super::stat::{Kind, SET_ID, Stat};

/// Which attributes are copied, and whether the copy has inherited some.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Access control lists.
    pub(super) lists: bool,
    /// Extended attributes.
    pub(super) attributes: bool,
    /// Whether those that cannot be kept are told.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "attributes are kept on Linux alone")
    )]
    pub(super) attributes_required: bool,
    /// Whether the copy may have inherited access control lists.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "lists are kept on Linux alone")
    )]
    pub(super) inherited: bool,
}

impl Kept {
    pub(super) fn new(preserve: Preserve, inherited: bool) -> Self {
        Self {
            lists: preserve.mode,
            attributes: preserve.xattrs,
            attributes_required: preserve.xattrs_required,
            inherited,
        }
    }

    fn any(self) -> bool {
        self.lists || self.attributes
    }
}

/// The mode that a copy gets: rights of an owner are not lent by a file of another's.
fn lent(original: &Stat, copy: impl FnOnce() -> io::Result<Stat>) -> io::Result<u32> {
    let mode = original.permissions();
    if mode & SET_ID == 0 || copy()?.owner == original.owner {
        return Ok(mode);
    }
    Ok(mode & !SET_ID)
}

/// Does one step after the other, whatever becomes of those before: answers with the first error.
struct Steps(io::Result<()>);

impl Steps {
    fn take(&mut self, step: io::Result<()>) {
        if self.0.is_ok() {
            self.0 = step;
        }
    }
}

/// Gives something open, a file or a directory, what is kept of the original.
pub(super) fn finish<T: Open>(
    from: Option<&T>,
    to: &T,
    stat: &Stat,
    preserve: Preserve,
    inherited: bool,
) -> io::Result<()> {
    let mut steps = Steps(Ok(()));
    if preserve.ownership {
        steps.take(platform::set_owner(to, stat));
    }
    let kept = Kept::new(preserve, inherited);
    if let (true, Some(from)) = (kept.any(), from) {
        steps.take(platform::copy_attributes(from, to, kept));
    }
    if preserve.timestamps {
        steps.take(platform::set_times(to, stat));
    }
    if preserve.mode {
        let mode = lent(stat, || platform::stat(to));
        steps.take(mode.and_then(|mode| platform::set_mode(to, mode)));
    }
    steps.0
}

/// Gives what must not be opened, a link or a special file, what is kept of the original.
pub(super) fn finish_name(
    from: (&Folder, &OsStr),
    to: (&Folder, &OsStr),
    stat: &Stat,
    preserve: Preserve,
    inherited: bool,
) -> io::Result<()> {
    let mut steps = Steps(Ok(()));
    if preserve.ownership {
        steps.take(to.0.set_owner_at(to.1, stat));
    }
    let kept = Kept::new(preserve, inherited);
    if kept.any() {
        steps.take(platform::copy_attributes_at(from, to, kept));
    }
    if preserve.timestamps {
        steps.take(to.0.set_times_at(to.1, stat));
    }
    if preserve.mode && stat.kind == Kind::Special {
        let mode = lent(stat, || to.0.stat_at(to.1, false));
        steps.take(mode.and_then(|mode| platform::set_mode_at(to.0, to.1, stat, mode)));
    }
    steps.0
}
