//! Who owns memory: what is forgotten, asked twice, sliced, or would be taken to another thread.

use std::io::Write;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::buf::{IoBuf, IoBufMutExt, Lease};
use annulet::op::{Nop, Op, Recv, Shared};
use annulet::{Context, Driver, Runtime};
use socket2::Socket;

use crate::support::alloc::quarantine;
use crate::support::drivers::for_each_builder;
use crate::support::random::{Random, seed};
use crate::{PATIENCE, alone, once, settle};

#[test]
#[expect(clippy::mem_forget, reason = "what is tested")]
fn a_forgotten_operation_keeps_its_buffer_and_lets_its_runtime_end() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let grace = Duration::from_secs(60);
        let runtime = builder.shutdown_grace(grace).build().expect("a runtime");
        let mut peers = Vec::new();
        runtime.block_on(async {
            for bytes in [0, 5] {
                let driver = Context::current().driver().clone();
                let (near, mut far) = UnixStream::pair().expect("a pair");
                near.set_nonblocking(driver.wants_nonblocking())
                    .expect("set");
                let near = Shared::new(&driver, Socket::from(near));
                let recv = Recv::new(&near, Vec::with_capacity(2000), &Rc::default());
                let mut op = Op::new(&driver, recv);
                assert!(once(pin!(&mut op)).await.is_none(), "{kind}: it waits");
                std::mem::forget(op);
                annulet::yield_now().await;
                // For one of them the kernel writes after that; the other is cancelled at the end.
                far.write_all(&vec![b'!'; bytes]).expect("room");
                peers.push(far);
            }
            annulet::time::sleep(Duration::from_millis(1)).await;
        });
        let started = Instant::now();
        drop(runtime);
        assert!(started.elapsed() < grace, "{kind}: it waited for them");
        for mut peer in peers {
            // Whatever the kernel still holds, it would write now.
            let _refused = peer.write(&[b'?'; 2000]);
        }
        let found = quarantine::inspect();
        assert_eq!(found.spoilt, 0, "{kind}: {found:?}");
    });
}

#[test]
fn an_operation_polled_after_its_end_says_so() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        let said = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut op = Op::new(Context::current().driver(), Nop);
                (&mut op).await.expect("nothing can fail");
                let _never = (&mut op).await;
            });
        }))
        .expect_err("it was polled twice");
        let said = said.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(said.contains("polled after it completed"), "{kind}: {said}");
        assert_eq!(runtime.block_on(async { 42 }), 42);
    });
}

#[test]
fn a_source_in_use_is_not_given_out() {
    let _alone = alone();
    for_each_builder(|kind, builder| {
        let runtime = builder.build().expect("a runtime");
        runtime.block_on(async {
            let driver = Context::current().driver().clone();
            let (near, mut far) = UnixStream::pair().expect("a pair");
            near.set_nonblocking(driver.wants_nonblocking())
                .expect("set");
            let near = Shared::new(&driver, Socket::from(near));
            let recv = Recv::new(&near, Vec::with_capacity(8), &Rc::default());
            let mut op = Box::pin(Op::new(&driver, recv));
            assert!(once(op.as_mut()).await.is_none());
            let near = near.try_into_inner().expect_err("an operation uses it");
            drop(op);
            settle(0).await;
            let near = near.try_into_inner().expect("nobody uses it any more");
            near.set_nonblocking(false).expect("set");
            near.set_read_timeout(Some(PATIENCE)).expect("set");
            far.write_all(b"mine").expect("room");
            let mut bytes = [0; 8];
            let read = std::io::Read::read(&mut &near, &mut bytes).expect("received");
            assert_eq!(&bytes[..read], b"mine", "{kind}: nobody else took them");
        });
    });
}

/// Answers whether `T` is `Send`: the inherent constant counts where its bound holds.
struct Probe<T>(PhantomData<T>);

trait Otherwise {
    const IS_SEND: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T: Send> Probe<T> {
    const IS_SEND: bool = true;
}

macro_rules! assert_stays {
    ($($type:ty),+ $(,)?) => {$(
        assert!(!<Probe<$type>>::IS_SEND, "{} is Send", stringify!($type));
    )+};
}

#[test]
#[expect(clippy::assertions_on_constants, reason = "they depend on the types")]
fn what_belongs_to_a_shard_cannot_leave_its_thread() {
    assert!(<Probe<Vec<u8>>>::IS_SEND, "the question can be answered");
    assert_stays!(
        Runtime,
        Context,
        Driver,
        Lease,
        Shared<Socket>,
        Op<Nop>,
        Op<Recv<Vec<u8>>>,
        annulet::net::TcpListener,
        annulet::net::TcpStream,
        annulet::fs::File,
        annulet::JoinHandle<()>,
    );
}

#[test]
fn a_part_of_a_buffer_is_the_part_that_the_standard_library_gives() {
    let mut random = Random::new(seed());
    for _ in 0..2000 {
        let count = random.below(40);
        let bytes: Vec<u8> = (0..count).map(|at| at.to_le_bytes()[0]).collect();
        let end = random.below(count + 1);
        let start = random.below(end + 1);
        let part = bytes.clone().slice(start as usize..end as usize);
        let expected = &bytes[start as usize..end as usize];
        assert_eq!(part.as_init(), expected);
        let nested = random.below(end - start + 1) as usize;
        let part = part.slice(0..nested);
        assert_eq!(part.as_init(), &expected[..nested]);
        assert_eq!(part.into_inner().into_inner(), bytes);
    }
}

#[test]
fn a_filled_buffer_shows_what_was_filled_and_nothing_else() {
    let mut random = Random::new(seed());
    for _ in 0..2000 {
        let mut buf: Vec<u8> = Vec::with_capacity(1 + random.below(60) as usize);
        if random.once_in(2) {
            buf.push(0xEE);
        }
        let (init, total) = (buf.len(), buf.capacity());
        let count = random.below(61).min(u32::try_from(total).expect("small")) as usize;
        buf.fill_with(|space| {
            assert_eq!(space.len(), total);
            assert!(space[init..].iter().all(|byte| *byte == 0));
            space[..count].fill(0x77);
            (count, ())
        });
        assert_eq!(buf, vec![0x77; count]);
    }
}

#[test]
fn bytes_outside_a_buffer_are_refused() {
    for range in [3..5, 5..5, Range { start: 3, end: 2 }] {
        let refused = catch_unwind(|| b"four".to_vec().slice(range));
        assert!(refused.is_err());
    }
    let mut buf = Vec::with_capacity(4);
    buf.push(b'!');
    let more = buf.capacity() + 1;
    let refused = catch_unwind(AssertUnwindSafe(|| buf.fill_with(|_| (more, ()))));
    assert!(refused.is_err());
    assert_eq!(buf, b"!", "it is as it was");
}
