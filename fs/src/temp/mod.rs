//! Files and directories for a while.
//!
//! - `unnamed`: a file without a name. `file`: one with a name, to be put into place when it is
//!   whole. `dir`: a directory.
//! - `name`: names that nobody guesses. `doomed`: what is removed in the end.
//! - `platform`: what systems do about it.
//!
//! They are for their owner alone (0600, 0700), and made so that nothing that is there already is
//! opened, whoever has put it there.
//!
//! # Who removes them
//!
//! A name that was made is in the hands of a [`Doomed`](doomed::Doomed), from the job that makes it
//! on; dropping that removes it. So a creation that is given up leaves nothing behind. On a shard
//! the drop hands it to the pool, so that the shard does not wait for the disk; outside a runtime,
//! or where the pool takes no more, it is removed in place. A process that is killed leaves its
//! names behind; only an unnamed file is gone then too.

mod dir;
mod doomed;
mod file;
mod name;
mod platform;
mod unnamed;

pub use dir::{TempDir, temp_dir, temp_dir_in};
pub use file::{NamedTempFile, PersistError, named_temp_file, named_temp_file_in};
pub use unnamed::{tempfile, tempfile_in};
