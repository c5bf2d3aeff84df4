//! Extended attributes of Linux, and access control lists, which are attributes too.
//!
//! A list of names is one call, and for most files it is empty. Of what is refused only errors are
//! told that a person can mend: a file system without attributes, and names that only the
//! privileged may set, are passed over, as `cp -a` does, unless they were asked for. A list that is lost is told: what the mode
//! says without it may let others in. The security context is the system's to give, not ours to
//! keep.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    XattrFlags, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fremovexattr, fsetxattr,
    lgetxattr, lgetxattr_query, llistxattr, llistxattr_query, lremovexattr, lsetxattr,
};
use rustix::io::Errno;

use super::Folder;
use crate::copy::attributes::Kept;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";
const CONTEXT: &CStr = c"security.selinux";

/// What has attributes: something open, or a name that must not be opened.
enum At<'a> {
    Open(BorrowedFd<'a>),
    Name(Vec<u8>),
}

impl At<'_> {
    fn name(folder: &Folder, name: &OsStr) -> Self {
        // There are no calls by directory and name; this leads there without a way to go astray.
        let mut path = format!("/proc/self/fd/{}/", folder.as_fd().as_raw_fd()).into_bytes();
        path.extend_from_slice(name.as_encoded_bytes());
        At::Name(path)
    }

    /// Fills a buffer, larger ones until it suffices.
    fn fill(
        mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
        query: impl Fn() -> Result<usize, Errno>,
    ) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; 512];
        loop {
            match read(&mut buffer) {
                Ok(bytes) => {
                    buffer.truncate(bytes);
                    return Ok(buffer);
                }
                Err(Errno::RANGE) => buffer.resize(query()?.max(buffer.len() + 1), 0),
                Err(error) => return Err(error),
            }
        }
    }

    fn list(&self) -> Result<Vec<u8>, Errno> {
        match self {
            At::Open(file) => {
                Self::fill(|buffer| flistxattr(file, buffer), || flistxattr_query(file))
            }
            At::Name(path) => Self::fill(
                |buffer| llistxattr(&path[..], buffer),
                || llistxattr_query(&path[..]),
            ),
        }
    }

    fn value(&self, name: &CStr) -> Result<Vec<u8>, Errno> {
        match self {
            At::Open(file) => Self::fill(
                |buffer| fgetxattr(file, name, buffer),
                || fgetxattr_query(file, name),
            ),
            At::Name(path) => Self::fill(
                |buffer| lgetxattr(&path[..], name, buffer),
                || lgetxattr_query(&path[..], name),
            ),
        }
    }

    fn set(&self, name: &CStr, value: &[u8]) -> Result<(), Errno> {
        match self {
            At::Open(file) => fsetxattr(file, name, value, XattrFlags::empty()),
            At::Name(path) => lsetxattr(&path[..], name, value, XattrFlags::empty()),
        }
    }

    fn remove(&self, name: &CStr) -> Result<(), Errno> {
        match self {
            At::Open(file) => fremovexattr(file, name),
            At::Name(path) => lremovexattr(&path[..], name),
        }
    }
}

/// Gives what is open the attributes of something else that is.
pub(in crate::copy) fn copy_attributes(
    from: &impl AsFd,
    to: &impl AsFd,
    keep: Kept,
) -> io::Result<()> {
    copy(&At::Open(from.as_fd()), &At::Open(to.as_fd()), keep)
}

/// As [`copy_attributes`], for what must not be opened.
pub(in crate::copy) fn copy_attributes_at(
    from: (&Folder, &OsStr),
    to: (&Folder, &OsStr),
    keep: Kept,
) -> io::Result<()> {
    copy(&At::name(from.0, from.1), &At::name(to.0, to.1), keep)
}

fn copy(from: &At<'_>, to: &At<'_>, keep: Kept) -> io::Result<()> {
    let names = match from.list() {
        Err(Errno::OPNOTSUPP | Errno::NOENT) => return Ok(()),
        names => names?,
    };
    let names = || {
        let ends = names.split_inclusive(|byte| *byte == 0);
        ends.filter_map(|name| CStr::from_bytes_with_nul(name).ok())
    };
    let mut first_error = Ok(());
    for name in names() {
        let is_list = name == ACCESS || name == DEFAULT;
        let wanted = if is_list { keep.lists } else { keep.attributes };
        if !wanted || name == CONTEXT {
            continue;
        }
        match from.value(name).and_then(|value| to.set(name, &value)) {
            // Gone meanwhile.
            Ok(()) | Err(Errno::NODATA) => {}
            // Not to be had there.
            Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS)
                if !is_list && !keep.attributes_required => {}
            Err(error) => first_error = first_error.and(Err(error)),
        }
    }
    if keep.lists && keep.inherited {
        for list in [ACCESS, DEFAULT] {
            if names().all(|name| name != list) {
                // What was not inherited after all is not there to remove.
                let _absent = to.remove(list);
            }
        }
    }
    Ok(first_error?)
}

/// Whether what is made in a directory inherits an access control list.
pub(in crate::copy) fn has_default_acl(folder: &Folder) -> bool {
    fgetxattr_query(folder, DEFAULT).is_ok()
}
