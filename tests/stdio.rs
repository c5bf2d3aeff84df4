//! The standard streams of a process of its own: pipes, files, terminals, and none.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod child;
}

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::stdio::{stderr, stdin, stdout};
use annulet::time::{sleep, timeout};
use annulet::{Builder, DriverKind, ShardId};
use futures_util::{AsyncWriteExt, StreamExt};
use nix::pty::openpty;
use support::child;

const PATIENCE: Duration = Duration::from_secs(60);
/// Stands before what a child has to say, after what its harness says.
const MARK: &str = "here it begins";

/// Calls `body` with the name of each driver that works here.
fn for_each_name(body: impl Fn(&str)) {
    let mut names = Vec::new();
    annulet::for_each_driver(|runtime| {
        names.push(match runtime.driver().kind {
            DriverKind::Uring => "uring",
            _ => "poll",
        });
    });
    names.into_iter().for_each(body);
}

/// The test `name` again as `part`, on a driver; its error output is ours.
fn program(name: &str, part: &str, driver: &str) -> Command {
    let mut command = child::command(name, part);
    command.env("ANNULET_DRIVER", driver);
    command
}

/// Ends a child that is not done with its test, so that none is left.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Reads up to the mark; what follows is the child's own.
fn after_mark(out: impl Read) -> BufReader<impl Read> {
    let mut out = BufReader::new(out);
    let mut line = String::new();
    while line.trim_end() != MARK {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("text"), 0, "no mark");
    }
    out
}

/// The child's part: `main` on a runtime, after the mark.
fn play<F: Future<Output = io::Result<()>>>(main: impl FnOnce() -> F) {
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        let mark = format!("\n{MARK}\n").into_bytes();
        stdout().write_all(mark).await.expect("somebody reads");
        main().await.expect("its part");
    });
    // Nothing of the harness comes after this.
    std::process::exit(0);
}

/// Timers fire in time; fails if they do not.
async fn timers_fire() {
    for _ in 0..20 {
        let step = Duration::from_millis(1);
        let started = Instant::now();
        sleep(step).await;
        let late = started.elapsed().saturating_sub(step);
        assert!(late < Duration::from_millis(500), "{late:?} late");
    }
}

/// Polls a future once.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

async fn echo_lines() -> io::Result<()> {
    let mut lines = stdin().lines();
    {
        // A line that is given up loses nothing; and the shard goes on meanwhile.
        let mut line = pin!(lines.next_line());
        assert!(once(line.as_mut()).await.is_none(), "nothing was said yet");
        timers_fire().await;
    }
    stderr().write_all(b"ready\n".to_vec()).await?;
    // Of this one a half has come at the most.
    let half = Duration::from_millis(2);
    for _ in 0..20 {
        assert!(timeout(half, lines.next_line()).await.is_err());
    }
    stderr().write_all(b"again\n".to_vec()).await?;
    while let Some(line) = lines.next().await {
        stdout()
            .write_all(format!("<{}>\n", line?).into_bytes())
            .await?;
    }
    Ok(())
}

#[test]
fn lines_of_a_pipe_come_as_a_stream() {
    const NAME: &str = "lines_of_a_pipe_come_as_a_stream";
    if child::part().is_some() {
        return play(echo_lines);
    }
    for_each_name(|driver| {
        let mut program = program(NAME, "echo", driver);
        let program = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut echo = Ended(program.spawn().expect("a child"));
        let mut input = echo.0.stdin.take().expect("piped");
        let mut out = after_mark(echo.0.stdout.take().expect("piped"));
        let mut errors = BufReader::new(echo.0.stderr.take().expect("piped")).lines();
        assert!(errors.any(|line| line.is_ok_and(|line| line == "ready")));
        input.write_all(b"o").expect("it reads");
        assert!(errors.any(|line| line.is_ok_and(|line| line == "again")));
        let mut line = String::new();
        for (said, heard) in [
            ("ne\n", "<one>\n"),
            ("\r\n", "<>\n"),
            ("two\r\n", "<two>\n"),
        ] {
            line.clear();
            input.write_all(said.as_bytes()).expect("it reads");
            out.read_line(&mut line).expect("it answers");
            assert_eq!(line, heard);
        }
        input.write_all(b"three\nfour").expect("it reads");
        drop(input);
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("it ends");
        assert_eq!(rest, "<three>\n<four>\n");
        assert!(echo.0.wait().expect("its end").success());
    });
}

async fn count_input() -> io::Result<()> {
    let mut input = stdin();
    let mut total = 0;
    let mut buf = Vec::with_capacity(1000);
    loop {
        let read;
        (read, buf) = input.read(buf).await?;
        if read == 0 {
            break;
        }
        total += read;
    }
    // An empty input is empty again.
    assert_eq!(input.read(buf).await?.0, 0);
    let mut out = stdout();
    AsyncWriteExt::write_all(&mut out, format!("{total} bytes\n").as_bytes()).await?;
    out.flush().await
}

#[test]
fn files_the_null_device_and_a_closed_input_are_read_to_their_end() {
    const NAME: &str = "files_the_null_device_and_a_closed_input_are_read_to_their_end";
    if child::part().is_some() {
        return play(count_input);
    }
    for_each_name(|driver| {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[b'x'; 123_456]).expect("room");
        file.rewind().expect("a file");
        let null = File::open("/dev/null").expect("a device");
        let mut closed = Command::new("sh");
        let inner = program(NAME, "count", driver);
        closed
            .args(["-c", "exec \"$0\" \"$@\" <&-"])
            .arg(inner.get_program());
        closed.args(inner.get_args());
        closed.envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let mut from_file = program(NAME, "count", driver);
        from_file.stdin(file);
        let mut from_null = program(NAME, "count", driver);
        from_null.stdin(null);
        for (mut command, answer) in [
            (from_file, "123456 bytes\n"),
            (from_null, "0 bytes\n"),
            (closed, "0 bytes\n"),
        ] {
            let output = command.output().expect("a child");
            let mut said = String::new();
            let mut own = after_mark(&output.stdout[..]);
            own.read_to_string(&mut said).expect("text");
            assert_eq!(
                (said.as_str(), output.status.code()),
                (answer, Some(0)),
                "{command:?}"
            );
        }
    });
}

const MUCH: usize = 1 << 20;

/// A child whose output nobody reads before it says `mark` among its errors; and then all of it.
fn output_held_up(program: &mut Command, mark: &str) -> (Ended, Vec<u8>) {
    let program = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Ended(program.spawn().expect("a child"));
    let mut errors = BufReader::new(child.0.stderr.take().expect("piped")).lines();
    assert!(errors.any(|line| line.is_ok_and(|line| line == mark)));
    let mut said = Vec::new();
    after_mark(child.0.stdout.take().expect("piped"))
        .read_to_end(&mut said)
        .expect("all");
    (child, said)
}

async fn say_much() -> io::Result<()> {
    let writing = annulet::spawn(async { stdout().write_all(vec![b'.'; MUCH]).await });
    timers_fire().await;
    assert!(!writing.is_finished(), "nobody has read it");
    stderr().write_all(b"alive\n".to_vec()).await?;
    writing.await.expect("no panic")?;
    Ok(())
}

#[test]
fn an_output_that_nobody_reads_holds_up_its_writer_and_not_the_shard() {
    const NAME: &str = "an_output_that_nobody_reads_holds_up_its_writer_and_not_the_shard";
    if child::part().is_some() {
        return play(say_much);
    }
    for_each_name(|driver| {
        let mut program = program(NAME, "much", driver);
        let (mut much, said) = output_held_up(&mut program, "alive");
        assert_eq!(said.len(), MUCH);
        assert!(much.0.wait().expect("its end").success());
    });
}

async fn think_better_of_it() -> io::Result<()> {
    {
        let mut out = stdout();
        let mut much = pin!(out.write_all(vec![b'.'; MUCH]));
        assert!(once(much.as_mut()).await.is_none(), "nobody has read it");
        timers_fire().await;
        assert!(once(much.as_mut()).await.is_none(), "nobody has read it");
    }
    stderr().write_all(b"gone\n".to_vec()).await?;
    stdout().write_all(b"the end".to_vec()).await?;
    Ok(())
}

#[test]
fn of_a_dropped_write_a_prefix_is_written_and_then_what_is_next() {
    const NAME: &str = "of_a_dropped_write_a_prefix_is_written_and_then_what_is_next";
    if child::part().is_some() {
        return play(think_better_of_it);
    }
    for_each_name(|driver| {
        let mut program = program(NAME, "dropped", driver);
        let (mut child, said) = output_held_up(&mut program, "gone");
        let prefix = said.strip_suffix(b"the end").expect("nothing behind it");
        assert!(!prefix.is_empty() && prefix.len() <= MUCH, "{driver}");
        assert!(prefix.iter().all(|byte| *byte == b'.'), "nothing between");
        assert!(child.0.wait().expect("its end").success());
    });
}

const BLOCKS: usize = 50;
const BLOCK_BYTES: usize = 100_000;

fn say_from_two_shards() {
    let shards = Builder::new().shards(2).start().expect("two shards");
    let said = shards.run(|| async {
        let mark = format!("\n{MARK}\n").into_bytes();
        stdout().write_all(mark).await.expect("somebody reads");
        let say = |letter: u8| async move {
            for _ in 0..BLOCKS {
                let block = vec![letter; BLOCK_BYTES];
                stdout().write_all(block).await.expect("somebody reads");
            }
        };
        let far = annulet::spawn_on(ShardId(1), move || say(b'b'));
        say(b'a').await;
        far.await.expect("no panic");
    });
    said.expect("no panic");
    std::process::exit(0);
}

#[test]
fn what_two_shards_write_is_not_mixed() {
    const NAME: &str = "what_two_shards_write_is_not_mixed";
    if child::part().is_some() {
        return say_from_two_shards();
    }
    for_each_name(|driver| {
        let output = program(NAME, "two", driver).output().expect("a child");
        assert!(output.status.success());
        let mut said = Vec::new();
        after_mark(&output.stdout[..])
            .read_to_end(&mut said)
            .expect("all");
        assert_eq!(said.len(), 2 * BLOCKS * BLOCK_BYTES);
        for block in said.chunks(BLOCK_BYTES) {
            assert!(
                block.iter().all(|byte| *byte == block[0]),
                "a block is whole"
            );
        }
    });
}

/// The flags of an open file of ours.
fn flags_of(fd: &OwnedFd) -> i32 {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let info = std::fs::read_to_string(path).expect("Linux");
    let line = info.lines().find_map(|line| line.strip_prefix("flags:"));
    i32::from_str_radix(line.expect("flags").trim(), 8).expect("octal")
}

#[test]
fn a_terminal_is_read_and_written_and_keeps_its_flags() {
    const NAME: &str = "a_terminal_is_read_and_written_and_keeps_its_flags";
    if child::part().is_some() {
        return play(echo_terminal);
    }
    for_each_name(|driver| {
        let terminal = openpty(None, None).expect("pseudo-terminals");
        let ours = terminal.slave;
        let before = flags_of(&ours);
        let side = || Stdio::from(ours.try_clone().expect("a descriptor"));
        let mut program = program(NAME, "terminal", driver);
        // The child shares the open file with us, as programs do with their shell.
        let program = program.stdin(side()).stdout(side()).stderr(Stdio::null());
        let mut echo = Ended(program.spawn().expect("a child"));
        let mut master = File::from(terminal.master);
        let mut out = after_mark(master.try_clone().expect("a descriptor"));
        let mut said = String::new();
        while !said.ends_with("ready\r\n") {
            out.read_line(&mut said).expect("it speaks");
        }
        assert_eq!(flags_of(&ours), before, "while it waits for input");
        said.clear();
        master.write_all(b"hello\n").expect("it reads");
        while !said.ends_with("<hello>\r\n") {
            out.read_line(&mut said).expect("it speaks");
        }
        // The end of input, as typed; and after it there is more.
        for (typed, answer) in [(&b"\x04"[..], "end\r\n"), (b"more\n", "<more>\r\n")] {
            said.clear();
            master.write_all(typed).expect("it reads");
            while !said.ends_with(answer) {
                out.read_line(&mut said).expect("it speaks");
            }
        }
        assert!(echo.0.wait().expect("its end").success());
        assert_eq!(flags_of(&ours), before, "after its end");
    });
}

async fn echo_terminal() -> io::Result<()> {
    let mut lines = stdin().lines();
    {
        let mut line = pin!(lines.next_line());
        assert!(once(line.as_mut()).await.is_none(), "nothing was typed yet");
        timers_fire().await;
    }
    stdout().write_all(b"ready\n").await?;
    for wanted in [Some("hello"), None, Some("more")] {
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("in time")?;
        assert_eq!(line.as_deref(), wanted);
        let answer = line.map_or_else(|| "end\n".to_owned(), |line| format!("<{line}>\n"));
        stdout().write_all(answer.into_bytes()).await?;
    }
    Ok(())
}
