//! What is done to files and directories by their names.
//!
//! - `look`: what a name stands for. `change`: making, renaming, removing, linking, and what is
//!   known of a file. `file_system`: the file system that holds it.
//! - `whole`: whole files, read and written. `duplicate`: one file copied to another.
//! - `remove`: a directory with all that is in it. `many`: many names at once.
//! - `platform`: the calls that the standard library lacks.
//!
//! All of it is plain system calls. A lone call through a ring costs ten times the call, because
//! the kernel hands it to a worker of its own, and most of these have no opcode at all; so they
//! are jobs of the blocking pool, several calls in one where they belong together. What only looks
//! and finds all that it needs in the kernel's memory is answered in place.
//!
//! A name goes to the system as it is: it need not be UTF-8, and what the system says of names that
//! are too long is passed on. A name with a zero byte is `InvalidInput`.

mod change;
mod duplicate;
#[cfg(unix)]
mod file_system;
mod look;
mod many;
mod platform;
mod remove;
mod whole;

#[cfg(unix)]
pub use change::{chown, lchown, symlink};
pub use change::{
    create_dir, create_dir_all, hard_link, remove_dir, remove_file, rename, rename_with,
    set_permissions, set_times,
};
#[cfg(windows)]
pub use change::{symlink_dir, symlink_file};
pub use duplicate::copy;
#[cfg(unix)]
pub use file_system::{FileSystem, statfs};
pub use look::{canonicalize, metadata, read_link, symlink_metadata, try_exists};
pub use many::{read_many, stat_many};
pub use platform::Rename;
pub(crate) use platform::rename_as;
pub use remove::remove_dir_all;
pub(crate) use remove::remove_tree;
pub use whole::{read, read_to_string, write};
