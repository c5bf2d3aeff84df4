//! A socket through which others see the process: the viewer `annulet-top`, a shell.
//!
//! Threads of its own answer, so it works while every shard is stuck. It is a Unix socket that only
//! the user of the process may open: its mode is set after it has its name and before it listens,
//! so there is no moment at which others could come in.
//!
//! A client sends lines and gets an answer to each: `json` has a snapshot on one line; `text` one
//! for people and `prometheus` the metrics, both followed by an empty line.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::snapshot::snapshot;
use crate::panics::lock;

/// How long the shards have to answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a client may take to read an answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Clients at the same time.
const CLIENTS_MAX: usize = 8;

/// Bytes in a line that a client sends.
const REQUEST_BYTES_MAX: u64 = 64;

/// The socket, and the threads behind it, for as long as this lives. Made by [`serve`].
#[must_use = "dropping it closes the socket"]
pub struct Server {
    path: PathBuf,
    /// Device and number of the socket's file: another's is not ours to remove.
    file: (u64, u64),
    listener: UnixListener,
    clients: Arc<Mutex<Clients>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The clients that are being served.
#[derive(Default)]
struct Clients {
    ended: bool,
    next: u64,
    streams: Vec<(u64, UnixStream)>,
}

/// Lets the user of this process see it through a Unix socket at `path`: `annulet-top PATH` shows
/// its shards and tasks, and so does `echo text | nc -U PATH`.
///
/// The socket is the user's alone (mode 0600). One that nobody listens to any more, left by a
/// process that was killed, is replaced. It is removed when the [`Server`] is dropped. It shows all
/// runtimes of the process, and answers even while their shards are stuck.
///
/// # Errors
///
/// [`AddrInUse`](io::ErrorKind::AddrInUse) if another process listens there;
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is something that is no socket;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the path is too long for a socket (on Linux,
/// 107 bytes); or the system's.
///
/// # Examples
///
/// ```
/// let path = std::env::temp_dir().join(format!("example-{}.sock", std::process::id()));
/// let server = annulet_runtime::inspect::serve(&path)?;
/// assert!(path.exists());
/// drop(server);
/// assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn serve(path: impl AsRef<Path>) -> io::Result<Server> {
    let path = path.as_ref();
    let listener = listen(path)?;
    let file = fs::symlink_metadata(path)?;
    let clients = Arc::<Mutex<Clients>>::default();
    let mut server = Server {
        path: path.to_owned(),
        file: (file.dev(), file.ino()),
        listener: listener.try_clone()?,
        clients: Arc::clone(&clients),
        thread: None,
    };
    let thread = thread::Builder::new().name("annulet-inspect".to_owned());
    server.thread = Some(thread.spawn(move || accept(&listener, &clients))?);
    Ok(server)
}

/// A socket at `path` that is ours alone, in the place of one that nobody listens to.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let address = SockAddr::unix(path).map_err(|error| {
        let bytes = path.as_os_str().len();
        let text = format!("{} has {bytes} bytes: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(named(path, error.kind(), &error.to_string()));
        }
        if !fs::symlink_metadata(path)?.file_type().is_socket() {
            let kind = io::ErrorKind::AlreadyExists;
            return Err(named(path, kind, "there is something that is no socket"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(named(path, error.kind(), "another process listens there"));
        }
        fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(16)?;
    Ok(socket.into())
}

fn named(path: &Path, kind: io::ErrorKind, text: &str) -> io::Error {
    io::Error::new(kind, format!("{}: {text}", path.display()))
}

/// Takes clients until the end.
fn accept(listener: &UnixListener, clients: &Arc<Mutex<Clients>>) {
    loop {
        let accepted = listener.accept();
        if lock(clients).ended {
            return;
        }
        match accepted {
            // A client that cannot be served sees the end of its stream.
            Ok((stream, _)) => drop(take_in(stream, clients)),
            // Out of descriptors, most likely: it must not become a loop that runs hot.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Starts a thread for a client.
fn take_in(stream: UnixStream, clients: &Arc<Mutex<Clients>>) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let mut list = lock(clients);
    if list.streams.len() >= CLIENTS_MAX {
        drop(list);
        return (&stream).write_all(b"{\"error\":\"too many clients\"}\n");
    }
    let number = list.next;
    list.next += 1;
    list.streams.push((number, stream.try_clone()?));
    drop(list);
    let left = Left {
        number,
        clients: Arc::clone(clients),
    };
    let thread = thread::Builder::new().name("annulet-inspect".to_owned());
    thread.spawn(move || {
        let _left = left;
        // A client that goes away ends its thread.
        let _gone = answer(&stream);
    })?;
    Ok(())
}

/// Takes a client off the list when its thread ends, or never starts.
struct Left {
    number: u64,
    clients: Arc<Mutex<Clients>>,
}

impl Drop for Left {
    fn drop(&mut self) {
        let mut clients = lock(&self.clients);
        clients.streams.retain(|(number, _)| *number != self.number);
    }
}

/// Answers a client until it is gone.
fn answer(stream: &UnixStream) -> io::Result<()> {
    let (mut lines, mut stream) = (BufReader::new(stream), stream);
    loop {
        let mut line = String::new();
        let read = lines
            .by_ref()
            .take(REQUEST_BYTES_MAX)
            .read_line(&mut line)?;
        if read == 0 {
            return Ok(());
        }
        let mut text = match line.trim() {
            "json" => snapshot(PATIENCE).json(),
            "text" => format!("{}\n", snapshot(PATIENCE)),
            "prometheus" => snapshot(PATIENCE).prometheus(),
            _ => "{\"error\":\"ask for json, text or prometheus\"}".to_owned(),
        };
        text.push('\n');
        stream.write_all(text.as_bytes())?;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        {
            let mut clients = lock(&self.clients);
            clients.ended = true;
            for (_, stream) in &clients.streams {
                // One that is gone already needs no end.
                let _gone = stream.shutdown(Shutdown::Both);
            }
        }
        // The one ends a wait for clients on Linux, the other everywhere; without both, the thread
        // ends with its next client.
        let told = SockRef::from(&self.listener)
            .shutdown(Shutdown::Both)
            .is_ok();
        let told = UnixStream::connect(&self.path).is_ok() || told;
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.file);
        if ours {
            // A file that cannot be removed is replaced by whoever comes next.
            let _stays = fs::remove_file(&self.path);
        }
        if let Some(thread) = self.thread.take().filter(|_| told) {
            let _panicked = thread.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
