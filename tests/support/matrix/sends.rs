//! Rows of the ways to send on a stream: from one buffer, from several, without a copy, from a file,
//! and from another stream.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use annulet::buf::BufError;
use annulet::fs::File;
use annulet::net::{TcpStream, ZeroCopy, copy_bidirectional, send_file};

use super::rows::{Failure, Scene, failure, reset, scene};
use crate::support::streams::connected;

/// A socket that takes nothing until its peer reads, which is the release. It is a local one: TCP
/// moves bytes between its two ends as time goes by, and then there is room again.
fn full() -> io::Result<(Rc<TcpStream>, impl FnOnce() -> UnixStream)> {
    let (mut peer, far) = UnixStream::pair()?;
    far.set_nonblocking(true)?;
    let mut sent = 0_u64;
    for size in [1 << 16, 1] {
        loop {
            match (&far).write(&[0; 1 << 16][..size]) {
                Ok(bytes) => sent += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
    }
    let far = StdStream::from(OwnedFd::from(far));
    let release = move || {
        let read = io::copy(&mut (&mut peer).take(sent), &mut io::sink());
        assert_eq!(read.expect("all that was sent"), sent);
        peer
    };
    Ok((Rc::new(TcpStream::from_std(far)?), release))
}

/// One that sends no more.
fn shut() -> io::Result<(StdStream, TcpStream)> {
    let (peer, far) = connected()?;
    let stream = TcpStream::from_std(far)?;
    stream.shutdown(Shutdown::Write)?;
    Ok((peer, stream))
}

pub(super) fn send() -> io::Result<Scene> {
    let (stream, release) = full()?;
    let operate = move || {
        let stream = Rc::clone(&stream);
        async move {
            stream.write(b"!").await?;
            Ok(())
        }
    };
    scene(operate, release)
}

/// Writes to one that sends no more, and has the buffer back.
fn write_fails(
    write: impl AsyncFnOnce(&TcpStream, Vec<u8>) -> Result<(), BufError<Vec<u8>>> + 'static,
    (peer, stream): (StdStream, TcpStream),
) -> io::Result<Failure> {
    failure(libc::EPIPE, async move {
        let failed = write(&stream, b"gone".to_vec()).await;
        drop(peer);
        match failed {
            Ok(()) => Ok(()),
            Err(failure) => {
                assert_eq!(failure.buf, b"gone");
                Err(failure.error)
            }
        }
    })
}

pub(super) fn send_fails() -> io::Result<Failure> {
    write_fails(
        async |stream, buf| stream.write(buf).await.map(drop),
        shut()?,
    )
}

pub(super) fn vectored() -> io::Result<Scene> {
    let (stream, release) = full()?;
    let operate = move || {
        let stream = Rc::clone(&stream);
        async move {
            let (sent, _) = stream.write_vectored(["!", "?"]).await?;
            assert_eq!(sent, 2);
            Ok(())
        }
    };
    scene(operate, release)
}

pub(super) fn vectored_fails() -> io::Result<Failure> {
    let (peer, stream) = shut()?;
    failure(libc::EPIPE, async move {
        let failed = stream.write_all_vectored(vec!["go", "ne"]).await;
        drop(peer);
        match failed {
            Ok(_) => Ok(()),
            Err(failure) => {
                assert_eq!((failure.done, failure.buf), (0, vec!["go", "ne"]));
                Err(failure.error)
            }
        }
    })
}

pub(super) fn zero_copy() -> io::Result<Scene> {
    let (peer, far) = connected()?;
    let stream = Rc::new(TcpStream::from_std(far)?);
    stream.set_zero_copy(ZeroCopy::From(1));
    let operate = move || {
        let stream = Rc::clone(&stream);
        async move {
            let ((), buf) = stream.write_all(vec![b'!'; 10_000]).await?;
            assert_eq!(buf, [b'!'; 10_000]);
            Ok(())
        }
    };
    scene(operate, move || peer)
}

pub(super) fn zero_copy_fails() -> io::Result<Failure> {
    let (peer, stream) = shut()?;
    stream.set_zero_copy(ZeroCopy::From(1));
    let write = async |stream: &TcpStream, buf| stream.write_all(buf).await.map(drop);
    write_fails(write, (peer, stream))
}

/// A local socket copies whatever is asked for.
pub(super) fn no_zero_copy() -> io::Result<Scene> {
    let (stream, release) = full()?;
    stream.set_zero_copy(ZeroCopy::From(1));
    let operate = move || {
        let stream = Rc::clone(&stream);
        async move {
            stream.write_all(b"!").await?;
            Ok(())
        }
    };
    scene(operate, release)
}

fn a_file() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(b"what a file holds")?;
    Ok(File::from_std(file))
}

pub(super) fn file() -> io::Result<Scene> {
    let (peer, far) = connected()?;
    let (file, stream) = (Rc::new(a_file()?), Rc::new(TcpStream::from_std(far)?));
    let operate = move || {
        let (file, stream) = (Rc::clone(&file), Rc::clone(&stream));
        async move {
            let sent = send_file(&*stream, &*file, 5..17).await?;
            assert_eq!(sent, 12);
            Ok(())
        }
    };
    scene(operate, move || peer)
}

pub(super) fn file_fails() -> io::Result<Failure> {
    let (peer, stream) = shut()?;
    let file = a_file()?;
    failure(libc::EPIPE, async move {
        let failed = send_file(&stream, &file, 0..17).await;
        drop(peer);
        Ok(failed.map(drop)?)
    })
}

pub(super) fn both_ways() -> io::Result<Scene> {
    let ((peer, one), (other_peer, other)) = (connected()?, connected()?);
    let streams = Rc::new((TcpStream::from_std(one)?, TcpStream::from_std(other)?));
    let operate = move || {
        let streams = Rc::clone(&streams);
        async move {
            copy_bidirectional(&streams.0, &streams.1).await?;
            Ok(())
        }
    };
    scene(operate, move || {
        for peer in [&peer, &other_peer] {
            peer.shutdown(Shutdown::Write).expect("open until now");
        }
        (peer, other_peer)
    })
}

pub(super) fn both_ways_fails() -> io::Result<Failure> {
    let (peer, far) = connected()?;
    let (one, other) = (reset()?, TcpStream::from_std(far)?);
    failure(libc::ECONNRESET, async move {
        let failed = copy_bidirectional(&one, &other).await;
        drop(peer);
        match failed {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.error),
        }
    })
}
