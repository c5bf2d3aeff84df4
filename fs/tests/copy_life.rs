//! The life of a copy by the library, on every driver that works here: begun, given up, stopped,
//! counted ahead.
#![cfg(unix)]

#[path = "copy_support/mod.rs"]
mod support;

use std::fs;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet_fs::copy::{Copier, Options};
use annulet_runtime::time::timeout;
use annulet_runtime::yield_now;

use support::{copy, descriptors, each_driver, leftovers, names};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_copy_that_is_given_up_stops_and_leaves_nothing_partial() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir(&from)?;
        for number in 0..2000 {
            fs::write(from.join(number.to_string()), vec![7; 10_000])?;
        }
        fs::write(from.join("large"), vec![9; 40 << 20])?;
        let before = descriptors(folder);
        runtime.block_on(async {
            let copier = Copier::new(Options::new(), ());
            {
                let mut run = pin!(copier.run([(from.clone(), to.clone())]));
                // Until the first file is there.
                poll_fn(|cx| {
                    let _done = run.as_mut().poll(cx);
                    match copier.progress().files {
                        0 => {
                            cx.waker().wake_by_ref();
                            Poll::Pending
                        }
                        _ => Poll::Ready(()),
                    }
                })
                .await;
            }
            assert!(copier.is_stopped());
            let quiet = async {
                while descriptors(folder) > before {
                    yield_now().await;
                }
            };
            timeout(PATIENCE, quiet).await.expect("it comes to rest");
            assert_eq!(copier.progress().failures, 0);
        });
        assert_eq!(leftovers(&to), 0);
        for name in names(&to) {
            assert_eq!(
                fs::read(to.join(&name))?,
                fs::read(from.join(&name))?,
                "{name:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_stopped_copy_ends_soon_and_leaves_nothing_partial() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::write(&from, vec![9; 64 << 20])?;
        let mut options = Options::new();
        options.limit_bytes_per_s = std::num::NonZero::new(1 << 20);
        let copier = Copier::new(options, ());
        let other = copier.clone();
        let took = runtime.block_on(async move {
            let run = annulet_runtime::spawn({
                let to = to.clone();
                async move { copier.run([(from, to)]).await }
            });
            while other.progress().bytes == 0 {
                yield_now().await;
            }
            let stopped = Instant::now();
            other.stop();
            let done = run.await.expect("no panic");
            assert_eq!((done.files, done.bytes, done.failures), (0, 0, 0));
            stopped.elapsed()
        });
        assert!(took < Duration::from_millis(200), "{took:?}");
        assert_eq!(names(folder), ["from"]);
        Ok(())
    })
}

#[test]
fn what_is_counted_ahead_is_what_is_copied() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("a/b/c"))?;
        for number in 0..3000_usize {
            fs::write(from.join("a").join(number.to_string()), vec![1; number])?;
        }
        fs::write(from.join("a/b/c/large"), vec![1; 3 << 20])?;
        fs::hard_link(from.join("a/b/c/large"), from.join("a/again"))?;
        let mut options = Options::new();
        options.preserve.links = true;
        let copier = Copier::new(options, ());
        runtime.block_on(async {
            let totals = copier.plan([from.clone()]).await;
            assert!(totals.is_complete);
            let done = copier.run([(from, to)]).await;
            assert_eq!((totals.files, totals.bytes), (done.files, done.bytes));
            assert_eq!((done.files, done.hard_links), (3001, 1));
        });
        Ok(())
    })
}

#[test]
fn counting_that_is_given_up_keeps_what_it_has() -> io::Result<()> {
    each_driver(|runtime, folder| {
        for number in 0..200 {
            fs::create_dir(folder.join(number.to_string()))?;
            fs::write(folder.join(number.to_string()).join("file"), "x")?;
        }
        let copier = Copier::new(Options::new(), ());
        let before = descriptors(folder);
        runtime.block_on(async {
            {
                let mut plan = pin!(copier.plan([folder.to_owned()]));
                poll_fn(|cx| {
                    let _counted = plan.as_mut().poll(cx);
                    Poll::Ready(())
                })
                .await;
            }
            let quiet = async {
                while descriptors(folder) > before {
                    yield_now().await;
                }
            };
            timeout(PATIENCE, quiet).await.expect("it comes to rest");
        });
        assert!(copier.totals().files <= 200);
        Ok(())
    })
}

#[test]
fn a_copy_holds_no_descriptor_once_it_is_done() -> io::Result<()> {
    each_driver(|runtime, folder| {
        let (from, to) = (folder.join("from"), folder.join("to"));
        for number in 0..400 {
            fs::create_dir_all(from.join(format!("{number}/inner")))?;
            fs::write(from.join(format!("{number}/inner/file")), "x")?;
        }
        let before = descriptors(folder);
        let done = copy(runtime, Options::new(), &from, &to);
        assert_eq!((done.files, done.directories, done.failures), (400, 801, 0));
        assert_eq!(descriptors(folder), before);
        Ok(())
    })
}
