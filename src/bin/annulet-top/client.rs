//! The other end of the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::model::Snapshot;

/// The program answers within a fraction of a second, however stuck its shards are.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the program.
pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// A snapshot as the program writes it: a line.
    pub(crate) fn json(&mut self) -> io::Result<String> {
        self.0.get_mut().write_all(b"json\n")?;
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            let text = "the program has closed the connection";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(line)
    }

    /// A snapshot.
    pub(crate) fn snapshot(&mut self) -> io::Result<Snapshot> {
        Snapshot::parse(&self.json()?)
    }
}
