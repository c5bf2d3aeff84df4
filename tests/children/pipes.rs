//! Talking to a child.

use std::io::Read;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use annulet::process::{Child, Command, PipeReader, PipeWriter};
use annulet::time::timeout;
use futures_util::{AsyncReadExt, AsyncWriteExt};

use crate::{PATIENCE, everywhere, once};

async fn cat() -> (Child, PipeWriter, PipeReader) {
    let mut command = Command::new("cat");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().await.expect("coreutils");
    let stdin = child.stdin.take().expect("piped");
    let stdout = child.stdout.take().expect("piped");
    (child, stdin, stdout)
}

#[test]
fn what_is_written_to_a_child_comes_back() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let (mut child, mut stdin, mut stdout) = cat().await;
            for word in ["one", "two"] {
                let ((), sent) = stdin
                    .write_all(word.as_bytes().to_vec())
                    .await
                    .expect("taken");
                let (read, buf) = stdout.read(Vec::with_capacity(64)).await.expect("read");
                assert_eq!((read, &buf), (sent.len(), &sent));
            }
            drop(stdin);
            let (read, _) = stdout.read(Vec::with_capacity(64)).await.expect("the end");
            assert_eq!(read, 0, "the end");
            assert!(child.wait().await.expect("its status").success());
        });
    });
}

#[test]
fn the_poll_traits_and_owned_buffers_share_a_pipe() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let (mut child, mut stdin, mut stdout) = cat().await;
            AsyncWriteExt::write_all(&mut stdin, b"by trait")
                .await
                .expect("taken");
            let mut space = [0; 8];
            stdout.read_exact(&mut space).await.expect("read");
            assert_eq!(&space, b"by trait");
            stdin.write_all(b"owned".to_vec()).await.expect("taken");
            let mut space = [0; 5];
            stdout.read_exact(&mut space).await.expect("read");
            assert_eq!(&space, b"owned");
            // A read by trait that was dropped while it waited does not get in the way.
            {
                let mut waiting = pin!(AsyncReadExt::read(&mut stdout, &mut space));
                assert!(once(waiting.as_mut()).await.is_none(), "nothing is there");
            }
            stdin.write_all(b"last".to_vec()).await.expect("taken");
            stdin.close().await.expect("nothing to do");
            drop(stdin);
            let (read, buf) = PipeReader::read_to_end(&mut stdout, b"> ".to_vec())
                .await
                .expect("all");
            assert_eq!((read, &buf[..]), (4, &b"> last"[..]));
            child.wait().await.expect("its status");
        });
    });
}

#[test]
fn a_read_that_was_dropped_loses_no_byte() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let (mut child, mut stdin, mut stdout) = cat().await;
            let mut expected: Vec<u8> = Vec::new();
            let mut got: Vec<u8> = Vec::new();
            for round in 0..200_u32 {
                {
                    let mut read = pin!(stdout.read(Vec::with_capacity(64)));
                    let ready = once(read.as_mut()).await;
                    let waits = ready.is_none();
                    got.extend(ready.map_or_else(Vec::new, |answer| answer.expect("read").1));
                    let word = round.to_le_bytes().to_vec();
                    expected.extend(&word);
                    stdin.write_all(word).await.expect("taken");
                    if waits && round % 3 == 0 {
                        got.extend(read.await.expect("read").1);
                    }
                }
                if round % 7 == 0 {
                    let mut space = [0; 3];
                    let read = AsyncReadExt::read(&mut stdout, &mut space);
                    if let Ok(read) = timeout(Duration::from_millis(1), read).await {
                        got.extend(&space[..read.expect("read")]);
                    }
                }
            }
            drop(stdin);
            let (_, rest) = PipeReader::read_to_end(&mut stdout, Vec::new())
                .await
                .expect("all");
            got.extend(rest);
            assert_eq!(got, expected);
            child.wait().await.expect("its status");
        });
    });
}

#[test]
fn a_pipe_that_is_full_is_waited_for() {
    const BYTES: usize = 3 << 20;
    everywhere(|runtime| {
        runtime.block_on(async {
            let (mut child, mut stdin, mut stdout) = cat().await;
            let writer = annulet::spawn(async move {
                let bytes: Vec<u8> = (0..250).cycle().take(BYTES).collect();
                let ((), bytes) = stdin.write_all(bytes).await.expect("taken");
                AsyncWriteExt::write_all(&mut stdin, &bytes)
                    .await
                    .expect("taken");
                bytes
            });
            let (read, got) = PipeReader::read_to_end(&mut stdout, Vec::new())
                .await
                .expect("all");
            let bytes = writer.await.expect("no panic");
            assert_eq!(read, 2 * BYTES);
            assert!(
                got[..BYTES] == bytes && got[BYTES..] == bytes,
                "all, in order"
            );
            child.wait().await.expect("its status");
        });
    });
}

#[test]
fn a_pipe_without_a_reader_is_broken() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut command = Command::new("true");
            let mut child = command
                .stdin(Stdio::piped())
                .spawn()
                .await
                .expect("coreutils");
            let mut stdin = child.stdin.take().expect("piped");
            child.wait().await.expect("its status");
            // A child that is just being started elsewhere has all pipes open for a moment.
            let deadline = Instant::now() + PATIENCE;
            let failed = loop {
                assert!(Instant::now() < deadline, "somebody reads");
                if let Err(failed) = stdin.write_all(b"for nobody".to_vec()).await {
                    break failed;
                }
            };
            assert_eq!(failed.error.kind(), std::io::ErrorKind::BrokenPipe);
            assert_eq!(failed.buf, b"for nobody");
        });
    });
}

#[test]
fn much_output_on_both_pipes_stops_neither() {
    let script = "head -c 2000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 3";
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut command = Command::new("sh");
            let output = timeout(PATIENCE, command.args(["-c", script]).output())
                .await
                .expect("in time")
                .expect("a shell");
            assert_eq!(output.status.code(), Some(3));
            assert_eq!(
                (output.stdout.len(), output.stderr.len()),
                (2_000_000, 3_000_000)
            );
        });
    });
}

#[test]
fn a_grandchild_keeps_the_pipe_open_and_the_child_ends_all_the_same() {
    let script = "sleep 100 & echo $!";
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut command = Command::new("sh");
            let command = command.args(["-c", script]).stdout(Stdio::piped());
            let mut child = command.spawn().await.expect("a shell");
            let mut stdout = child.stdout.take().expect("piped");
            let status = timeout(PATIENCE, child.wait())
                .await
                .expect("the child has ended");
            assert!(status.expect("its status").success());
            let (_, line) = stdout.read(Vec::with_capacity(64)).await.expect("a line");
            let grandchild = String::from_utf8(line).expect("a number");
            {
                let mut end = pin!(stdout.read(Vec::with_capacity(64)));
                assert!(
                    once(end.as_mut()).await.is_none(),
                    "no end while somebody could write"
                );
                let killed = Command::new("kill").arg(grandchild.trim()).status().await;
                assert!(killed.expect("a kill").success());
                let (read, _) = timeout(PATIENCE, end)
                    .await
                    .expect("in time")
                    .expect("the end");
                assert_eq!(read, 0);
            }
        });
    });
}

#[test]
fn one_child_reads_what_another_writes() {
    everywhere(|runtime| {
        runtime.block_on(async {
            let mut writer = Command::new("sh");
            let writer = writer
                .args(["-c", "head -c 300000 /dev/zero"])
                .stdout(Stdio::piped());
            let mut writer = writer.spawn().await.expect("a shell");
            let pipe = writer.stdout.take().expect("piped");
            let reader = Command::new("wc")
                .arg("-c")
                .stdin(Stdio::try_from(pipe).expect("taken out"))
                .output()
                .await;
            // A program that reads a pipe does not expect it not to block.
            let counted = String::from_utf8(reader.expect("coreutils").stdout).expect("text");
            assert_eq!(counted.trim(), "300000");
            assert!(writer.wait().await.expect("its status").success());
        });
    });
}

#[test]
fn pipes_of_our_own_are_given_out_blocking() {
    everywhere(|runtime| {
        let (read, write) = std::io::pipe().expect("a pipe");
        let fd = runtime.block_on(async {
            let mut write = PipeWriter::from_owned_fd(write.into()).expect("taken over");
            let mut read = PipeReader::from_owned_fd(read.into()).expect("taken over");
            write.write_all(b"here".to_vec()).await.expect("taken");
            let (count, _) = read.read(Vec::with_capacity(4)).await.expect("read");
            assert_eq!(count, 4);
            write.write_all(b"there".to_vec()).await.expect("taken");
            read.into_owned_fd().expect("given out")
        });
        let mut rest = String::new();
        std::fs::File::from(fd)
            .read_to_string(&mut rest)
            .expect("it blocks, and ends");
        assert_eq!(rest, "there");
    });
}
