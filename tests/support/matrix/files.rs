//! Rows of the operations on files.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use annulet::fs::File;

use super::rows::{Failure, Scene, failure, scene};

const CONTENT: &[u8] = b"what a file holds";

fn with_file<F>(operate: fn(Rc<File>) -> F) -> io::Result<Scene>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    let mut file = tempfile::tempfile()?;
    file.write_all(CONTENT)?;
    let file = Rc::new(File::from_std(file));
    scene(move || operate(Rc::clone(&file)), || {})
}

/// A file opened only for reading, or only for writing.
fn half_open(write: bool) -> io::Result<File> {
    let file = tempfile::NamedTempFile::new()?;
    let half = std::fs::OpenOptions::new()
        .read(!write)
        .write(write)
        .open(file.path())?;
    Ok(File::from_std(half))
}

pub(super) fn read_at() -> io::Result<Scene> {
    with_file(|file| async move {
        let (read, buf) = file.read_at(Vec::with_capacity(64), 2).await?;
        assert_eq!(&buf[..read], &CONTENT[2..]);
        Ok(())
    })
}

pub(super) fn read_at_fails() -> io::Result<Failure> {
    let file = half_open(true)?;
    failure(libc::EBADF, async move {
        file.read_at(Vec::with_capacity(8), 0).await?;
        Ok(())
    })
}

pub(super) fn write_at() -> io::Result<Scene> {
    with_file(|file| async move {
        let (written, buf) = file.write_at(b"WHAT".to_vec(), 0).await?;
        assert_eq!((written, &buf[..]), (4, &b"WHAT"[..]));
        Ok(())
    })
}

pub(super) fn write_at_fails() -> io::Result<Failure> {
    let file = half_open(false)?;
    failure(libc::EBADF, async move {
        match file.write_at(b"kept".to_vec(), 0).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                assert_eq!(failure.buf, b"kept");
                Err(failure.error)
            }
        }
    })
}

pub(super) fn sync_all() -> io::Result<Scene> {
    with_file(|file| async move { file.sync_all().await })
}

pub(super) fn sync_all_fails() -> io::Result<Failure> {
    let (socket, _) = UnixStream::pair()?;
    let file = File::from_std(std::fs::File::from(OwnedFd::from(socket)));
    failure(libc::EINVAL, async move { file.sync_all().await })
}

pub(super) fn sync_data() -> io::Result<Scene> {
    with_file(|file| async move { file.sync_data().await })
}

pub(super) fn set_len() -> io::Result<Scene> {
    with_file(|file| async move { file.set_len(40).await })
}

pub(super) fn set_len_fails() -> io::Result<Failure> {
    let file = half_open(false)?;
    failure(libc::EINVAL, async move { file.set_len(1).await })
}

pub(super) fn open() -> io::Result<Scene> {
    let file = Rc::new(tempfile::NamedTempFile::new()?);
    let operate = move || {
        let file = Rc::clone(&file);
        async move { File::open(file.path()).await.map(drop) }
    };
    scene(operate, || {})
}

pub(super) fn open_fails() -> io::Result<Failure> {
    let path = tempfile::NamedTempFile::new()?.path().to_owned();
    failure(
        libc::ENOENT,
        async move { File::open(path).await.map(drop) },
    )
}

pub(super) fn metadata() -> io::Result<Scene> {
    with_file(|file| async move {
        assert_eq!(file.metadata().await?.len(), CONTENT.len() as u64);
        Ok(())
    })
}

pub(super) fn vectored_read() -> io::Result<Scene> {
    with_file(|file| async move {
        let space = vec![Vec::with_capacity(5), Vec::with_capacity(64)];
        let (read, bufs) = file.read_vectored_at(space, 0).await?;
        assert_eq!((read, &bufs.concat()[..]), (CONTENT.len(), CONTENT));
        Ok(())
    })
}

pub(super) fn vectored_read_fails() -> io::Result<Failure> {
    let file = half_open(true)?;
    failure(libc::EBADF, async move {
        file.read_vectored_at(vec![vec![0; 8]; 2], 0).await?;
        Ok(())
    })
}

pub(super) fn vectored_write() -> io::Result<Scene> {
    with_file(|file| async move {
        let parts = vec![b"WH".to_vec(), b"AT".to_vec()];
        let (written, bufs) = file.write_vectored_at(parts, 0).await?;
        assert_eq!((written, bufs.len()), (4, 2));
        Ok(())
    })
}

pub(super) fn vectored_write_fails() -> io::Result<Failure> {
    let file = half_open(false)?;
    failure(libc::EBADF, async move {
        match file.write_vectored_at(vec![b"kept".to_vec()], 0).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                assert_eq!(failure.buf, [b"kept"]);
                Err(failure.error)
            }
        }
    })
}

fn log_of(path: &str) -> io::Result<File> {
    let log = std::fs::OpenOptions::new().append(true).open(path)?;
    Ok(File::from_std(log))
}

pub(super) fn append() -> io::Result<Scene> {
    let log = Rc::new(log_of("/dev/null")?);
    let operate = move || {
        let log = Rc::clone(&log);
        async move {
            log.append(b"more".to_vec())
                .await
                .map(drop)
                .map_err(io::Error::from)
        }
    };
    scene(operate, || {})
}

pub(super) fn append_fails() -> io::Result<Failure> {
    let full = log_of("/dev/full")?;
    failure(libc::ENOSPC, async move {
        full.append(b"kept".to_vec()).await?;
        Ok(())
    })
}
