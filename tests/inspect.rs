//! What is seen of a process from outside of its shards: snapshots, dumps, backtraces.

#[cfg(unix)]
mod support {
    pub(crate) mod child;
}

use std::future::pending;
use std::sync::mpsc;
use std::time::Duration;

use annulet::inspect::{Tasks, snapshot};
use annulet::{Builder, ShardId, spawn_named, yield_now};

/// For what comes at once unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two shards, whose names are the only ones like it in this program: tests share the process.
fn two() -> annulet::Shards {
    Builder::new()
        .shards(2)
        .stall_threshold(Duration::ZERO)
        .start()
        .expect("two shards")
}

/// Holds up a shard until the sender is dropped.
fn hold_up(shards: &annulet::Shards, shard: usize, name: &'static str) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel::<()>();
    let (stuck, is_stuck) = mpsc::channel();
    let handle = shards.handle(ShardId(shard)).expect("it is there");
    let task = handle.spawn(move || async move {
        let culprit = spawn_named(name, async move {
            stuck.send(()).expect("the test waits");
            let _released = wait.recv();
        });
        culprit.await
    });
    is_stuck.recv_timeout(PATIENCE).expect("the task runs");
    drop(task);
    go
}

#[test]
fn a_snapshot_lists_the_tasks_of_every_shard() {
    let shards = two();
    let (here, is_here) = mpsc::channel();
    for index in 0..2 {
        let here = here.clone();
        let handle = shards.handle(ShardId(index)).expect("it is there");
        drop(handle.spawn(move || async move {
            let waits = spawn_named("one who waits", pending::<()>());
            yield_now().await;
            here.send(()).expect("the test waits");
            waits.await
        }));
    }
    is_here.recv_timeout(PATIENCE).expect("one runs");
    is_here.recv_timeout(PATIENCE).expect("both run");
    let snapshot = snapshot(PATIENCE);
    let found = snapshot.shards.iter().filter(|shard| {
        let Tasks::Listed(tasks) = &shard.tasks else {
            return false;
        };
        let mut names = tasks.iter().filter_map(|task| task.meta.name());
        names.any(|name| name == "one who waits")
    });
    assert_eq!(found.count(), 2, "{snapshot}");
    let mut names: Vec<_> = snapshot.shards.iter().map(|shard| &shard.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(
        names.len(),
        snapshot.shards.len(),
        "names tell shards apart"
    );
    assert!(snapshot.to_string().contains("\"one who waits\""));
    let text = snapshot.prometheus();
    for name in names {
        let line = format!("annulet_loop_ticks_total{{shard=\"{name}\"}} ");
        assert_eq!(text.matches(&line).count(), 1, "{text}");
    }
}

#[test]
fn a_shard_that_is_stuck_is_shown_by_the_task_on_its_stack_and_the_others_answer() {
    let shards = two();
    let waits = shards.run(|| async {
        let beside = || async { drop(spawn_named("who waits beside", pending::<()>())) };
        annulet::spawn_on(ShardId(1), beside).await
    });
    waits.expect("no panic").expect("it is spawned");
    let go = hold_up(&shards, 1, "who sticks");
    // More often than it is asked at all.
    let snapshots: Vec<_> = (0..12)
        .map(|_| snapshot(Duration::from_millis(20)))
        .collect();
    for snapshot in &snapshots {
        let stuck = snapshot.shards.iter().find_map(|shard| match &shard.tasks {
            Tasks::Unanswered { running, .. } => {
                let running = running.as_ref()?;
                (running.name.as_deref() == Some("who sticks")).then_some((shard, running))
            }
            _ => None,
        });
        let (shard, running) = stuck.unwrap_or_else(|| panic!("{snapshot}"));
        assert!(running.all_the_while && shard.metrics.tasks.spawned >= 2);
        assert!(running.location.file().ends_with("inspect.rs"));
        assert!(snapshot.to_string().contains("\"who sticks\""));
    }
    drop(go);
    // Whoever was asked too often before is asked again once it answers.
    let after = snapshot(PATIENCE).shards;
    let named = |name: &str| {
        let tasks = after.iter().filter_map(|shard| match &shard.tasks {
            Tasks::Listed(tasks) => Some(tasks),
            _ => None,
        });
        tasks.flatten().any(|task| task.meta.name() == Some(name))
    };
    assert!(
        named("who waits beside") && !named("who sticks"),
        "{after:?}"
    );
}

#[test]
fn a_task_may_look_at_its_own_shard() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let waits = spawn_named("beside", pending::<()>());
            // It does not wait for this thread, which would never answer.
            let snapshot = snapshot(Duration::ZERO);
            assert!(snapshot.to_string().contains("\"beside\""), "{snapshot}");
            waits.abort();
        });
    });
}

#[test]
fn metrics_of_several_shards_are_one_text() {
    let shards = two();
    let text = shards.prometheus();
    for shard in 0..2 {
        let line = format!("annulet_task_spawned_total{{shard=\"{shard}\"}} ");
        assert_eq!(text.matches(&line).count(), 1, "{text}");
    }
    assert_eq!(
        text.matches("# TYPE annulet_task_spawned_total ").count(),
        1
    );
}

#[cfg(target_os = "linux")]
mod backtraces {
    use super::{Builder, Duration, PATIENCE, mpsc, spawn_named};

    #[inline(never)]
    fn waits_for_its_own_report(heard: &mpsc::Receiver<annulet::Stall>) -> annulet::Stall {
        heard.recv_timeout(PATIENCE).expect("it is reported")
    }

    #[test]
    fn the_report_of_a_stall_names_the_function_that_blocks() {
        for wanted in [true, false] {
            let (hear, heard) = mpsc::channel();
            let runtime = Builder::new()
                .stall_threshold(Duration::from_millis(20))
                .stall_backtrace(wanted)
                .on_stall(move |stall| drop(hear.send(stall.clone())))
                .build()
                .expect("a runtime");
            let stall = runtime.block_on(async move {
                let culprit =
                    spawn_named("culprit", async move { waits_for_its_own_report(&heard) });
                culprit.await.expect("it ends")
            });
            let text = stall.to_string();
            assert_eq!(stall.backtrace.is_some(), wanted);
            assert_eq!(text.contains("waits_for_its_own_report"), wanted, "{text}");
            assert_eq!(stall.frames().count() > 1, wanted);
            assert!(
                !text.contains("in std::") && !text.contains("lifecycle"),
                "{text}"
            );
        }
    }
}

#[cfg(unix)]
mod dumps {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Stdio;

    use annulet::signal::unix::SignalKind;

    use super::support::child;
    use super::{hold_up, two};

    /// Says where it is on standard output, and waits for the end of standard input.
    fn say_and_wait() {
        writeln!(std::io::stdout(), "ready").expect("the parent reads it");
        let mut rest = String::new();
        std::io::stdin()
            .read_to_string(&mut rest)
            .expect("the parent closes it");
    }

    #[test]
    fn a_signal_has_all_shards_written_to_standard_error() {
        const NAME: &str = "dumps::a_signal_has_all_shards_written_to_standard_error";
        if child::part().is_some() {
            annulet::inspect::dump_on(SignalKind::user_defined1()).expect("a handler");
            annulet::inspect::dump_on(SignalKind::user_defined1()).expect("the same again");
            let shards = two();
            let go = hold_up(&shards, 1, "who sticks");
            say_and_wait();
            drop(go);
            return;
        }
        let mut command = child::command(NAME, "dumped");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("this program runs again");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(said.any(|line| line.expect("text").ends_with("ready")));
        let number = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", "USR1", &number])
            .status();
        assert!(sent.expect("every Unix has `kill`").success());
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut next = || lines.next().expect("a line").expect("text");
        let first = next();
        assert_eq!(first, format!("annulet: 2 shards in process {number}"));
        let (mut listed, mut stuck) = (false, false);
        while !(listed && stuck) {
            let line = next();
            listed |= line.starts_with("annulet-0 (") && line.contains(" tasks; busy ");
            stuck |= line.starts_with("annulet-1 (")
                && line.contains("no answer")
                && line.contains("\"who sticks\"");
        }
        drop(child.stdin.take());
        let rest: Vec<_> = lines.map(|line| line.expect("text")).collect();
        assert!(child.wait().expect("it ends").success(), "{rest:?}");
        let again = rest
            .iter()
            .filter(|line| line.contains("shards in process"));
        assert_eq!(again.count(), 0, "one signal, one dump");
    }

    #[test]
    fn a_signal_that_cannot_be_handled_is_an_error() {
        let error = annulet::inspect::dump_on(SignalKind::kill()).expect_err("nobody handles it");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[cfg(unix)]
mod sockets {
    use std::fs;
    use std::io::{BufRead, BufReader, ErrorKind, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use annulet::inspect::{Server, serve};
    use annulet::spawn_named;
    use serde_json::Value;
    use std::future::pending;

    use super::{hold_up, two};

    fn socket(in_folder: &tempfile::TempDir) -> (std::path::PathBuf, Server) {
        let path = in_folder.path().join("inspect.sock");
        let server = serve(&path).expect("it listens");
        (path, server)
    }

    /// The next line that a client hears.
    fn line(of: &mut BufReader<UnixStream>) -> String {
        let mut line = String::new();
        of.read_line(&mut line).expect("an answer");
        line
    }

    fn ask(client: &mut BufReader<UnixStream>, what: &str) -> String {
        writeln!(client.get_mut(), "{what}").expect("it listens");
        line(client)
    }

    fn client(path: &std::path::Path) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(path).expect("it listens"))
    }

    #[test]
    fn a_client_sees_shards_and_tasks_as_json_even_while_one_is_stuck() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, _server) = socket(&folder);
        let shards = two();
        let ready = shards.run(|| async {
            drop(spawn_named("quote \" and \\", pending::<()>()));
            annulet::time::sleep(Duration::from_millis(1)).await;
        });
        ready.expect("no panic");
        let go = hold_up(&shards, 1, "who is stuck here");
        let mut client = client(&path);
        let snapshot: Value = serde_json::from_str(&ask(&mut client, "json")).expect("JSON");
        assert_eq!(snapshot["process"], std::process::id());
        let list = snapshot["shards"].as_array().expect("a list");
        let named = |name: &str| {
            list.iter().find_map(|shard| {
                let tasks = shard["tasks"].as_array()?;
                Some((shard, tasks.iter().find(|task| task["name"] == name)?))
            })
        };
        let (shard, task) = named("quote \" and \\").expect("it is listed");
        assert_eq!(task["state"], "waiting");
        assert!(
            task["location"]
                .as_str()
                .expect("text")
                .contains("inspect.rs")
        );
        assert!(shard["task"]["polls"].as_u64().expect("a number") > 0);
        let late = &shard["timer_lateness"];
        let counts = late["buckets"].as_array().expect("a list").iter();
        let counts = counts.map(|bucket| bucket[1].as_u64().expect("a number"));
        assert_eq!(counts.sum::<u64>(), 1, "{late}");
        let mut stuck = list.iter().filter(|shard| {
            let running = &shard["unanswered"]["running"];
            running["name"] == "who is stuck here" && running["all_the_while"] == true
        });
        let stuck = stuck.next().expect("it is shown");
        assert!(stuck["tasks"].is_null() && stuck["loop"]["ticks"].is_u64());
        drop(go);
    }

    #[test]
    fn a_client_may_ask_for_text_and_for_metrics_and_for_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, _server) = socket(&folder);
        let _shards = two();
        let mut client = client(&path);
        assert!(ask(&mut client, "text").contains("in process"));
        while line(&mut client) != "\n" {}
        assert!(ask(&mut client, "prometheus").starts_with("# HELP "));
        while line(&mut client) != "\n" {}
        assert!(ask(&mut client, "tea").contains("error"));
    }

    #[test]
    fn the_socket_is_its_users_alone_and_goes_with_the_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, server) = socket(&folder);
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = serve(&path).expect_err("it is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        let mut open = client(&path);
        assert!(ask(&mut open, "tea").contains("error"));
        drop(server);
        assert!(!path.exists());
        assert_eq!(line(&mut open), "", "its clients see the end");
    }

    #[test]
    fn a_socket_that_nobody_listens_to_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("inspect.sock");
        drop(UnixListener::bind(&path).expect("a socket"));
        let server = serve(&path).expect("it is replaced");
        assert!(ask(&mut client(&path), "json").starts_with("{\"version\":1,"));
        // What another has put in its place is not the server's to remove.
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "mine").expect("written");
        drop(server);
        assert_eq!(fs::read(&path).expect("it is there"), b"mine");
        let error = serve(&path).expect_err("it is no socket");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.to_string().contains("inspect.sock"), "{error}");
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error_that_says_so() {
        let path = format!("/tmp/{}", "x".repeat(200));
        let error = serve(&path).expect_err("it is too long");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("205 bytes"), "{error}");
    }

    #[test]
    fn a_ninth_client_is_turned_away_until_another_leaves() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, _server) = socket(&folder);
        let mut clients: Vec<_> = (0..8).map(|_| client(&path)).collect();
        for client in &mut clients {
            assert!(ask(client, "tea").contains("ask for"));
        }
        let mut ninth = client(&path);
        assert!(line(&mut ninth).contains("too many"));
        assert_eq!(line(&mut ninth), "");
        clients.pop();
        // Its thread may take a moment to see that it is gone.
        while line(&mut {
            let mut client = client(&path);
            let _refused = writeln!(client.get_mut(), "tea");
            client
        })
        .contains("too many")
        {}
    }
}
