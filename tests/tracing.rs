//! Tasks as spans, and uses of their wakers as events, as tokio-console wants them.

use std::collections::HashMap;
use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use annulet::{spawn, spawn_named, yield_now};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What was seen of a span.
#[derive(Clone, Debug, Default)]
struct Seen {
    fields: HashMap<String, String>,
    target: String,
    is_root: bool,
    entered: u32,
    exited: u32,
    closed: bool,
    /// What was done with its wakers.
    wakers: Vec<String>,
}

#[derive(Default)]
struct Collected {
    next: AtomicU64,
    spans: Mutex<HashMap<u64, Seen>>,
    references: Mutex<HashMap<u64, u32>>,
}

/// Collects everything.
#[derive(Clone, Default)]
struct Collector(Arc<Collected>);

#[derive(Default)]
struct Fields(HashMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Collector {
    fn with(&self, id: &Id, change: impl FnOnce(&mut Seen)) {
        let mut spans = self.0.spans.lock().expect("nobody panics");
        change(spans.entry(id.into_u64()).or_default());
    }

    /// The one task of this name.
    fn task(&self, name: &str) -> Seen {
        let spans = self.0.spans.lock().expect("nobody panics");
        let mut found = spans.values().filter(|seen| {
            let named = seen.fields.get("task.name");
            named.is_some_and(|found| found == name)
        });
        let seen = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {spans:?}"));
        assert!(found.next().is_none(), "one span for a task");
        seen.clone()
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() == "runtime.spawn" || metadata.target() == "runtime::waker"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = Id::from_u64(self.0.next.fetch_add(1, Ordering::Relaxed) + 1);
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.with(&id, |seen| {
            seen.fields = fields.0;
            seen.is_root = span.is_root();
            span.metadata().target().clone_into(&mut seen.target);
        });
        let mut references = self.0.references.lock().expect("nobody panics");
        references.insert(id.into_u64(), 1);
        id
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let id = fields.0["task.id"].parse().expect("a span's id");
        let op = fields.0["op"].clone();
        self.with(&Id::from_u64(id), |seen| seen.wakers.push(op));
    }

    fn enter(&self, span: &Id) {
        self.with(span, |seen| seen.entered += 1);
    }

    fn exit(&self, span: &Id) {
        self.with(span, |seen| seen.exited += 1);
    }

    fn clone_span(&self, id: &Id) -> Id {
        let mut references = self.0.references.lock().expect("nobody panics");
        *references.get_mut(&id.into_u64()).expect("it is known") += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut references = self.0.references.lock().expect("nobody panics");
        let left = references.get_mut(&id.into_u64()).expect("it is known");
        *left -= 1;
        if *left == 0 {
            self.with(&id, |seen| seen.closed = true);
        }
        *left == 0
    }
}

#[test]
fn a_task_is_a_span_that_is_entered_for_each_poll_and_closed_with_the_task() {
    annulet::for_each_driver(|runtime| {
        let collector = Collector::default();
        let tasks = collector.clone();
        tracing::subscriber::with_default(collector.clone(), || {
            runtime.block_on(async {
                let task = spawn_named("three polls", async {
                    yield_now().await;
                    yield_now().await;
                    [0_u8; 32].len()
                });
                let id = task.meta().id().expect("a task has one").as_u64();
                assert!(!tasks.task("three polls").closed);
                assert_eq!(task.await.expect("it ends"), 32);
                let seen = tasks.task("three polls");
                assert_eq!((seen.entered, seen.exited, seen.closed), (3, 3, true));
                assert!(seen.is_root && seen.target.starts_with("annulet"));
                assert_eq!(seen.fields["task.id"], id.to_string());
                assert_eq!(seen.fields["kind"], "task");
                assert!(seen.fields["loc.file"].ends_with("tracing.rs"));
                let line: u32 = seen.fields["loc.line"].parse().expect("a number");
                assert!(line > 1 && seen.fields.contains_key("loc.col"));
                let bytes: usize = seen.fields["size.bytes"].parse().expect("a number");
                assert!((1..1024).contains(&bytes), "{bytes}");
            });
        });
    });
}

#[test]
fn a_task_that_is_aborted_closes_its_span() {
    annulet::for_each_driver(|runtime| {
        let collector = Collector::default();
        tracing::subscriber::with_default(collector.clone(), || {
            runtime.block_on(async {
                let task = spawn_named("aborted", pending::<()>());
                yield_now().await;
                task.abort();
                assert!(task.await.expect_err("aborted").is_cancelled());
            });
        });
        let seen = collector.task("aborted");
        assert!(seen.closed && seen.entered == 1, "{seen:?}");
    });
}

#[test]
fn each_use_of_a_waker_is_an_event_of_its_task() {
    annulet::for_each_driver(|runtime| {
        let collector = Collector::default();
        tracing::subscriber::with_default(collector.clone(), || {
            runtime.block_on(async {
                let mut step = 0;
                let task = spawn_named(
                    "waker",
                    poll_fn(move |cx| {
                        step += 1;
                        match step {
                            1 => cx.waker().wake_by_ref(),
                            2 => {
                                let waker = cx.waker().clone();
                                waker.wake();
                            }
                            3 => {
                                let spare = cx.waker().clone();
                                cx.waker().wake_by_ref();
                                drop(spare);
                            }
                            _ => return Poll::Ready(()),
                        }
                        Poll::Pending
                    }),
                );
                task.await.expect("it ends");
            });
        });
        assert_eq!(
            collector.task("waker").wakers,
            [
                "waker.wake_by_ref",
                "waker.clone",
                "waker.wake",
                "waker.clone",
                "waker.wake_by_ref",
                "waker.drop",
            ]
        );
    });
}

#[test]
fn a_wake_from_another_thread_is_told_to_that_threads_subscriber() {
    annulet::for_each_driver(|runtime| {
        let collector = Collector::default();
        let theirs = collector.clone();
        tracing::subscriber::with_default(collector.clone(), || {
            runtime.block_on(async {
                let task = spawn_named(
                    "far",
                    poll_fn({
                        let mut thread = None;
                        move |cx| {
                            if thread.is_some() {
                                return Poll::Ready(());
                            }
                            let (waker, theirs) = (cx.waker().clone(), theirs.clone());
                            thread = Some(std::thread::spawn(move || {
                                tracing::subscriber::with_default(theirs, || waker.wake());
                            }));
                            Poll::Pending
                        }
                    }),
                );
                task.await.expect("it ends");
            });
        });
        let seen = collector.task("far");
        assert_eq!(seen.wakers[..2], ["waker.clone", "waker.wake"], "{seen:?}");
    });
}

#[test]
fn without_a_subscriber_tasks_run_as_ever() {
    annulet::for_each_driver(|runtime| {
        let sum = runtime.block_on(async {
            let tasks: Vec<_> = (0..10).map(|i| spawn(async move { i })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.expect("it ends");
            }
            sum
        });
        assert_eq!(sum, 45);
    });
}
