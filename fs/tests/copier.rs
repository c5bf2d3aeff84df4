//! Copies of trees by the library, on every driver that works here.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulet_fs::copy::{Copier, Options};
use annulet_runtime::time::timeout;
use annulet_runtime::{Builder, Choice, yield_now};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_copy_that_is_given_up_goes_on() -> io::Result<()> {
    for choice in [Choice::Auto, Choice::Poll] {
        let folder = tempfile::tempdir()?;
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from)?;
        for number in 0..40 {
            fs::write(from.join(number.to_string()), vec![number; 10_000])?;
        }
        Builder::new().driver(choice).build()?.block_on(async {
            let copier = Copier::new(Options::new(), ());
            {
                let mut copy = pin!(copier.run([(from.clone(), to.clone())]));
                // Until the first file is there; the rest may follow at once.
                poll_fn(|cx| {
                    let _done = copy.as_mut().poll(cx);
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
            let all = async {
                while copier.progress().files < 40 {
                    yield_now().await;
                }
            };
            timeout(PATIENCE, all).await.expect("it goes on");
        });
        for number in 0..40 {
            assert_eq!(fs::read(to.join(number.to_string()))?, vec![number; 10_000]);
        }
    }
    Ok(())
}
