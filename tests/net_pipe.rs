//! Pipes, anonymous and named, on every driver and with each feature of io_uring missing in turn.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod each;
    pub(crate) mod pattern;
    pub(crate) mod trying;
    pub(crate) mod variants;
}

use std::fs::{File, OpenOptions};
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulet::net::pipe::{open_receiver, open_sender, pipe};
use annulet::time::timeout;
use annulet::{spawn, spawn_blocking, yield_now};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::pattern::pattern;
use support::trying::try_on_each_variant;
use tempfile::TempDir;

/// What nobody waits for in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// A named pipe, and the folder that goes with it.
fn fifo() -> io::Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fifo");
    mkfifo(&path, Mode::S_IRWXU)?;
    Ok((folder, path))
}

#[test]
fn bytes_come_out_of_a_pipe_as_they_went_in() {
    try_on_each_variant(|| async {
        let (mut sender, mut receiver) = pipe()?;
        let message = pattern(0, 300_000);
        let sent = message.clone();
        let writer = spawn(async move {
            sender.write_all(sent).await?;
            AsyncWriteExt::write_all(&mut sender, b" and by a trait").await
        });
        let (read, head) = receiver.read(Vec::with_capacity(1000)).await?;
        assert_eq!(read, head.len());
        let mut by_trait = [0; 100];
        AsyncReadExt::read_exact(&mut receiver, &mut by_trait).await?;
        let (_, rest) = receiver.read_to_end(Vec::new()).await?;
        writer.await.expect("no panic")?;
        let got = [&head[..], &by_trait, &rest].concat();
        assert!(got == [&message[..], b" and by a trait"].concat());
        Ok(())
    });
}

#[test]
fn bytes_for_a_dropped_read_of_a_pipe_go_to_the_next() {
    try_on_each_variant(|| async {
        let (mut sender, mut receiver) = pipe()?;
        for round in 0..20_u8 {
            {
                let mut read = pin!(receiver.read(vec![0; 8]));
                poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                sender.write_all(vec![round]).await?;
            }
            let (read, bytes) = receiver.read(vec![0; 8]).await?;
            assert_eq!((read, bytes[0]), (1, round));
        }
        Ok(())
    });
}

#[test]
fn a_write_to_a_pipe_without_reader_fails_and_gives_the_buffer_back() {
    try_on_each_variant(|| async {
        let (mut sender, receiver) = pipe()?;
        drop(receiver);
        let failed = sender.write_all(pattern(0, 10)).await.unwrap_err();
        assert_eq!(failed.error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(failed.buf, pattern(0, 10));
        Ok(())
    });
}

#[test]
fn descriptors_go_in_and_out() {
    try_on_each_variant(|| async {
        let (sender, receiver) = pipe()?;
        let mut writer = File::from(sender.into_owned_fd()?);
        let mut reader = File::from(receiver.into_owned_fd()?);
        writer.write_all(b"!")?;
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        assert_eq!(&byte, b"!");
        Ok(())
    });
}

#[test]
fn a_named_pipe_is_opened_before_anybody_writes_and_ends_after_the_last_who_did() {
    try_on_each_variant(|| async {
        let (_folder, path) = fifo()?;
        let mut receiver = open_receiver(&path).await?;
        {
            // Nobody has come yet, which is not the end.
            let mut read = pin!(receiver.read(vec![0; 8]));
            for _ in 0..5 {
                poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                yield_now().await;
            }
        }
        let mut sender = open_sender(&path).await?;
        sender.write_all(b"hello".to_vec()).await?;
        drop(sender);
        let (_, bytes) = receiver.read_to_end(Vec::new()).await?;
        assert_eq!(bytes, b"hello");
        Ok(())
    });
}

#[test]
fn a_named_pipe_is_shared_with_whoever_opens_it_plainly() {
    try_on_each_variant(|| async {
        let (_folder, path) = fifo()?;
        let mut receiver = open_receiver(&path).await?;
        let name = path.clone();
        let plain = spawn_blocking(move || {
            let mut pipe = OpenOptions::new().write(true).open(name)?;
            pipe.write_all(b"from a thread")
        });
        let mut got = Vec::new();
        AsyncReadExt::read_to_end(&mut receiver, &mut got).await?;
        assert_eq!(got, b"from a thread");
        plain.await.expect("no panic")?;
        Ok(())
    });
}

#[test]
fn opening_never_waits_and_says_what_is_wrong() {
    try_on_each_variant(|| async {
        let (folder, path) = fifo()?;
        let nobody = open_sender(&path).await.unwrap_err();
        assert_eq!(nobody.raw_os_error(), Some(libc::ENXIO));
        let plain = folder.path().join("plain");
        File::create(&plain)?;
        for outcome in [
            open_receiver(&plain).await.map(drop),
            open_sender(&plain).await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        let missing = open_receiver(folder.path().join("none")).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        Ok(())
    });
}

/// Polls a future once and drops it.
async fn give_up<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _given_up = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_named_pipe_that_is_opened_for_nobody_is_closed() {
    try_on_each_variant(|| async {
        let (_folder, path) = fifo()?;
        give_up(open_receiver(&path)).await;
        // A pipe can be opened for writing only while somebody reads.
        let closed = async {
            while let Ok(sender) = open_sender(&path).await {
                drop(sender);
                yield_now().await;
            }
        };
        timeout(PATIENCE, closed).await.expect("nobody reads");

        let mut receiver = open_receiver(&path).await?;
        give_up(open_sender(&path)).await;
        // Its end comes when nobody writes any more, and not before somebody has.
        open_sender(&path)
            .await?
            .write_all(b"last".to_vec())
            .await?;
        let (_, read) = timeout(PATIENCE, receiver.read_to_end(Vec::new()))
            .await
            .expect("nobody writes")?;
        assert_eq!(read, b"last");
        Ok(())
    });
}
