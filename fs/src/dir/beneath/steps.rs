//! A walk in single steps, for kernels without `openat2` and where it is forbidden.
//!
//! The directories on the way lie open on a stack, the one we are in at the top; the directory
//! that nothing leads out of is below the stack. `..` takes one off and leads out if there is none:
//! it goes where we came from, also if that was moved meanwhile. A name is opened with
//! `O_NOFOLLOW`, so the kernel goes through no link; a link is read, and what it says is put before
//! the rest of the way. The kernel's errors are ours: `XDEV` leads out, `LOOP` is too many links.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::LINKS_MAX;

/// Bytes from which a path is too long for the kernel.
const PATH_MAX: usize = 4096;

/// What is still to be gone, the next step last.
struct Way {
    steps: Vec<OsString>,
    /// Whether the path ends in a slash, so that a directory must be there.
    to_directory: bool,
    links: u32,
}

impl Way {
    fn new(path: &[u8]) -> Result<Self, Errno> {
        let mut way = Self {
            steps: Vec::new(),
            to_directory: false,
            links: 0,
        };
        way.prepend(path)?;
        Ok(way)
    }

    /// Puts a path before what is still to be gone.
    fn prepend(&mut self, path: &[u8]) -> Result<(), Errno> {
        match path.first() {
            None => return Err(Errno::NOENT),
            Some(b'/') => return Err(Errno::XDEV),
            Some(_) => {}
        }
        if self.steps.is_empty() {
            self.to_directory |= path.ends_with(b"/");
        }
        let steps = path.split(|&byte| byte == b'/').rev();
        let steps = steps.filter(|step| !step.is_empty());
        self.steps
            .extend(steps.map(|step| OsString::from_vec(step.to_vec())));
        Ok(())
    }

    /// Reads a link where we are and goes by it. False if there is no link of that name.
    fn follow(&mut self, at: BorrowedFd<'_>, name: &OsString) -> Result<bool, Errno> {
        let target = match readlinkat(at, name, Vec::new()) {
            Ok(target) => target,
            Err(Errno::INVAL | Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP);
        }
        self.prepend(target.as_bytes())?;
        Ok(true)
    }
}

pub(super) fn open(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    if path.as_os_str().len() >= PATH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let mut way = Way::new(path.as_os_str().as_bytes())?;
    let mut stack: Vec<OwnedFd> = Vec::new();
    loop {
        let at = stack.last().map_or(dir, AsFd::as_fd);
        let name = way.steps.pop().unwrap_or_else(|| OsString::from("."));
        let last = way.steps.is_empty();
        if name == ".." {
            // The top of the stack is where we are.
            if stack.pop().is_none() {
                return Err(Errno::XDEV);
            }
            if last {
                way.steps.push(OsString::from("."));
            }
        } else if last {
            if let Some(opened) = open_last(at, &name, &mut way, flags, mode)? {
                return Ok(opened);
            }
        } else if name != "." {
            let pass = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(at, &name, pass, Mode::empty()) {
                Ok(inside) => stack.push(inside),
                Err(error @ (Errno::NOTDIR | Errno::LOOP)) => {
                    if !way.follow(at, &name)? {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Opens the last name. `None` if it is a link, and there is more of the way now.
fn open_last(
    at: BorrowedFd<'_>,
    name: &OsString,
    way: &mut Way,
    mut flags: OFlags,
    mode: Mode,
) -> Result<Option<OwnedFd>, Errno> {
    let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
    // A slash after the name goes through a link, whatever the flags.
    let follows = way.to_directory || !(flags.contains(OFlags::NOFOLLOW) || exclusive);
    if name != "." && follows && way.follow(at, name)? {
        return Ok(None);
    }
    if way.to_directory {
        if flags.contains(OFlags::CREATE) {
            return Err(Errno::ISDIR);
        }
        flags |= OFlags::DIRECTORY;
    }
    match openat(at, name, flags | OFlags::NOFOLLOW, mode) {
        // A link by now: look again.
        Err(Errno::LOOP) if follows => {
            way.steps.push(name.clone());
            way.links += 1;
            if way.links > LINKS_MAX {
                return Err(Errno::LOOP);
            }
            Ok(None)
        }
        opened => opened.map(Some),
    }
}
