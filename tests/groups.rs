//! Task groups at work: with connections on every driver, with a great many members, and very deep.
#![forbid(unsafe_code)]

mod support {
    pub(crate) mod streams;
}

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::time::{sleep, timeout};
use annulet::{
    Builder, CancelScope, Context, Runtime, TaskGroup, TaskSet, Until, spawn, wait, yield_now,
};
use support::streams::connected;

/// A million, or as many as a build without optimisation does in the same time.
const MANY: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

/// How deep tasks and groups lie within each other.
const DEEP: usize = 100_000;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

fn in_virtual_time() -> Runtime {
    let runtime = Builder::new().virtual_time().build();
    runtime.expect("some driver works")
}

/// The driver has let go of everything.
async fn settled() {
    let driver = Context::current().driver().clone();
    while driver.in_flight() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Serves one client: gives back what comes.
async fn echo(stream: TcpStream) -> io::Result<usize> {
    let mut bytes = 0;
    while let Some(message) = stream.recv().await? {
        bytes += message.len();
        stream.write_all(message).await?;
    }
    Ok(bytes)
}

#[test]
fn a_group_serves_its_clients_and_ends_when_they_have_gone() {
    annulet::for_each_driver(|runtime| {
        let served = runtime.block_on(TaskGroup::scope(async |group| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            let servers = group.clone();
            let accepted = group.spawn(async move {
                let mut served = Vec::new();
                for _ in 0..20 {
                    let (stream, _) = listener.accept().await?;
                    served.push(servers.spawn(echo(stream)));
                }
                Ok(served)
            });
            for number in 0..20_u8 {
                group.spawn(async move {
                    let stream = TcpStream::connect(address).await?;
                    stream.write_all(vec![number; 100]).await?;
                    let mut bytes = 0;
                    while bytes < 100 {
                        let answer = stream.recv().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
                        assert!(answer.iter().all(|byte| *byte == number));
                        bytes += answer.len();
                    }
                    Ok(())
                });
            }
            let mut bytes = 0;
            for server in accepted.await? {
                bytes += server.await?;
            }
            Ok::<_, io::Error>(bytes)
        }));
        assert_eq!(served.expect("nothing fails"), 20 * 100);
        runtime.block_on(settled());
    });
}

#[test]
fn a_failure_ends_reads_and_accepts_under_way_and_leaves_nothing() {
    annulet::for_each_driver(|runtime| {
        let error = runtime.block_on(TaskGroup::scope(async |group| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            group.spawn(async move { listener.accept().await.map(drop) });
            let mut far_ends = Vec::new();
            for number in 0..20 {
                let (near, far) = connected()?;
                far_ends.push(far);
                let near = TcpStream::from_std(near)?;
                group.spawn(async move {
                    if number == 13 {
                        sleep(Duration::from_millis(1)).await;
                        return Err(io::Error::other("unlucky"));
                    }
                    near.recv().await.map(drop)
                });
            }
            pending::<io::Result<()>>().await
        }));
        let error = error.expect_err("one fails");
        assert_eq!(error.failures().len(), 1, "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Other);
        let settled = runtime.block_on(async { timeout(Duration::from_secs(10), settled()).await });
        settled.expect("every slot becomes vacant");
        assert_eq!(runtime.tasks().len(), 0);
    });
}

#[test]
fn children_finish_their_answers_before_a_cancelled_group_ends() {
    annulet::for_each_driver(|runtime| {
        let (near, far) = connected().expect("a pair");
        let read = runtime.block_on(async {
            let near = TcpStream::from_std(near).expect("a socket");
            let far = TcpStream::from_std(far).expect("a socket");
            let ended = TaskGroup::<io::Error>::scope(async |group| {
                group.spawn(async move {
                    // Until it is told to end; then a last word.
                    let scope = CancelScope::new();
                    let heard = scope.run(near.recv()).await;
                    assert!(heard.is_err(), "nothing is sent to it");
                    near.write_all(b"goodbye".to_vec()).await?;
                    Ok(())
                });
                sleep(Duration::from_millis(1)).await;
                group.cancel();
                Ok(())
            });
            ended.await.expect("nothing fails");
            far.recv().await.expect("received").expect("not the end")
        });
        assert_eq!(&*read, b"goodbye");
    });
}

#[test]
fn a_group_of_very_many_ends_with_the_first_failure() {
    let runtime = in_virtual_time();
    let drops = Rc::new(Cell::new(0));
    struct Counts(Rc<Cell<usize>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let error = runtime.block_on(TaskGroup::scope(async |group| {
        for _ in 0..MANY {
            let counts = Counts(Rc::clone(&drops));
            group.spawn(async move {
                let _counts = counts;
                pending::<Result<(), &str>>().await
            });
        }
        assert_eq!(group.len(), MANY);
        group.spawn(async {
            yield_now().await;
            Err::<(), _>("one among many")
        });
        pending::<Result<(), _>>().await
    }));
    let error = error.expect_err("one fails");
    assert_eq!(error.errors().collect::<Vec<_>>(), [&"one among many"]);
    assert_eq!((drops.get(), runtime.tasks().len()), (MANY, 0));
}

#[test]
fn a_group_of_very_many_gives_every_output() {
    let runtime = in_virtual_time();
    let sum = runtime.block_on(TaskGroup::<()>::scope(async |group| {
        let children: Vec<_> = (0..MANY)
            .map(|number| {
                group.spawn(async move {
                    yield_now().await;
                    Ok(number)
                })
            })
            .collect();
        let mut sum = 0;
        for child in children {
            sum += child.await.expect("no failure");
        }
        Ok(sum)
    }));
    assert_eq!(sum.expect("nothing fails"), MANY * (MANY - 1) / 2);
}

#[test]
fn a_set_of_very_many_is_joined_one_by_one() {
    let runtime = in_virtual_time();
    runtime.block_on(async {
        let mut set = TaskSet::new();
        for number in 0..MANY {
            set.spawn(async move { number });
        }
        let mut sum = 0;
        while let Some((_, number)) = set.join_next().await {
            sum += number.expect("no panic");
        }
        assert_eq!(sum, MANY * (MANY - 1) / 2);
    });
    // A poll for each task, and a few for who joins them.
    let polls = runtime.metrics().tasks.polls;
    assert!(polls < MANY as u64 + MANY as u64 / 10, "{polls} polls");
}

#[test]
fn a_wait_for_very_many_takes_all() {
    let runtime = in_virtual_time();
    runtime.block_on(async {
        let mut tasks: Vec<_> = (0..MANY)
            .map(|number| spawn(sleep(Duration::from_millis(number as u64 % 100))))
            .collect();
        let first = wait(&mut tasks, Until::First).await;
        assert_eq!(first.len() + tasks.len(), MANY);
        let rest = wait(&mut tasks, Until::All).await;
        assert_eq!(first.len() + rest.len(), MANY);
    });
}

/// A task that awaits a task that awaits a task.
fn chain(depth: usize) -> Boxed<usize> {
    Box::pin(async move {
        if depth == 0 {
            return 0;
        }
        spawn(chain(depth - 1)).await.expect("no panic") + 1
    })
}

#[test]
fn joins_lie_within_each_other_as_deep_as_memory_reaches() {
    let runtime = in_virtual_time();
    assert_eq!(runtime.block_on(chain(DEEP)), DEEP);
}

/// A group whose child has a group whose child has a group.
fn nest(depth: usize, deepest: Rc<Cell<bool>>) -> Boxed<Result<usize, &'static str>> {
    Box::pin(async move {
        if depth == 0 {
            deepest.set(true);
            return pending().await;
        }
        let ended = TaskGroup::scope(async |group| {
            let child = group.spawn(nest(depth - 1, deepest));
            child.await.map_err(|_| "child")
        });
        ended.await.map_err(|_| "group")
    })
}

#[test]
fn groups_deep_within_each_other_are_dropped_without_a_deep_stack() {
    let runtime = in_virtual_time();
    let deepest = Rc::new(Cell::new(false));
    runtime.block_on(async {
        let nested = spawn(nest(DEEP, Rc::clone(&deepest)));
        while !deepest.get() {
            yield_now().await;
        }
        nested.abort();
        assert!(nested.await.expect_err("aborted").is_cancelled());
    });
    assert_eq!(runtime.tasks().len(), 0, "there and then");
}

#[test]
fn groups_deep_within_each_other_are_cancelled_from_the_outside_in() {
    let runtime = in_virtual_time();
    let deepest = Rc::new(Cell::new(false));
    let ended = runtime.block_on(async {
        let nested = spawn(nest(DEEP, Rc::clone(&deepest)));
        while !deepest.get() {
            yield_now().await;
        }
        nested.cancel();
        nested.await
    });
    assert_eq!(ended.expect("it ends in its own way"), Err("group"));
    assert_eq!(runtime.tasks().len(), 0);
}

#[test]
fn a_runtime_that_ends_drops_groups_deep_within_each_other() {
    let runtime = in_virtual_time();
    let deepest = Rc::new(Cell::new(false));
    runtime.block_on(async {
        drop(spawn(nest(DEEP, Rc::clone(&deepest))));
        while !deepest.get() {
            yield_now().await;
        }
    });
    drop(runtime);
    assert_eq!(Rc::strong_count(&deepest), 1);
}
