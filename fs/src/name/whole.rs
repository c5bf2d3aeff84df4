//! Whole files, read and written.

use std::io::{self, ErrorKind};
use std::path::Path;

use annulet_runtime::buf::{BufError, IoBuf};

use crate::file::File;

/// The bytes of a file, to its end; also of files that claim to be empty, as under `/proc`.
///
/// # Errors
///
/// The system's.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    let (_, bytes) = file.read_to_end_at(Vec::new(), 0).await?;
    Ok(bytes)
}

/// The text of a file, to its end.
///
/// # Errors
///
/// The system's; `InvalidData` if it is not UTF-8.
///
/// # Cancel safety
///
/// Cancel safe: nothing is changed.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = read(path).await?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// Writes a file anew with these bytes and gives the buffer back.
///
/// # Errors
///
/// The system's, with the buffer.
///
/// # Cancel safety
///
/// Not cancel safe: the file may be left with a part of the bytes.
pub async fn write<B: IoBuf>(path: impl AsRef<Path>, bytes: B) -> Result<B, BufError<B>> {
    let file = match File::create(path).await {
        Ok(file) => file,
        Err(error) => return Err(BufError::new(error, bytes, 0)),
    };
    let ((), bytes) = file.write_all_at(bytes, 0).await?;
    match file.close().await {
        Ok(()) => Ok(bytes),
        Err(error) => {
            let done = bytes.bytes_init();
            Err(BufError::new(error, bytes, done))
        }
    }
}
