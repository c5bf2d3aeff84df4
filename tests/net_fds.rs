//! Descriptors and credentials along with messages: they arrive, closed on exec, by whatever
//! receive gets the message, and none is left open.
//!
//! All of it is one test, since it counts the descriptors of the process.
#![cfg(target_os = "linux")]

mod support {
    pub(crate) mod random;
    pub(crate) mod variants;
}

use std::fs::File;
use std::future::poll_fn;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::net::{UnixDatagram, UnixSeqpacket};
use annulet::op::{Op, RecvMsg, Shared, Strays};
use annulet::time::{sleep, timeout};
use annulet::{Context, for_each_driver, yield_now};
use socket2::{Domain, Socket, Type};
use support::random::{Random, seed};
use support::variants::variants;

fn room() -> Vec<u8> {
    Vec::with_capacity(64)
}

/// Open sockets, and open descriptors of the two files that are passed around. Those of a runtime
/// are left out: a thread that is about to end may hold one for a moment longer.
fn open_fds() -> usize {
    let listed = std::fs::read_dir("/proc/self/fd").expect("listed");
    let counts = |link: &std::path::Path| {
        let link = link.to_string_lossy();
        link == "/" || link == "/proc" || link.starts_with("socket:")
    };
    listed
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| counts(link))
        .count()
}

/// What an open file is, whatever its descriptor.
fn identity(file: impl AsFd) -> (u64, u64) {
    let file = File::from(file.as_fd().try_clone_to_owned().expect("duplicated"));
    let meta = file.metadata().expect("metadata");
    (meta.dev(), meta.ino())
}

fn is_closed_on_exec(fd: &OwnedFd) -> bool {
    let raw = fd.as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{raw}")).expect("it is open");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = i32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
    flags & libc::O_CLOEXEC != 0
}

async fn begun<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Closing a socket waits for the operations that hold it.
async fn settle() {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Context::current().driver().in_flight() > 0 {
        assert!(Instant::now() < deadline, "operations stay in flight");
        sleep(Duration::from_micros(200)).await;
    }
}

#[test]
fn descriptors_arrive_once_closed_on_exec_and_none_is_left_open() {
    for variant in variants() {
        let name = &variant.name;
        drop(variant.builder().build().expect("a runtime"));
        let before = open_fds();
        let runtime = variant.builder().build().expect("a runtime");
        let ran = runtime.block_on(async {
            timeout(Duration::from_secs(20), async {
                arrive(name).await;
                go_to_the_next(name).await;
                are_closed_by_a_receive_that_does_not_ask(name).await;
                are_closed_with_their_socket(name).await;
                are_cut_by_a_receive_with_too_little_room(name).await;
                credentials(name).await;
                settle().await;
            })
            .await
        });
        ran.unwrap_or_else(|_| panic!("stuck on {name}"));
        drop(runtime);
        assert_eq!(open_fds(), before, "{name}");
    }
    many_cancelled();
}

async fn arrive(name: &str) {
    let files = [
        File::open("/").expect("open"),
        File::open("/proc").expect("open"),
    ];
    let (near, far) = UnixDatagram::pair().expect("a pair");
    let (near_seq, far_seq) = UnixSeqpacket::pair().expect("a pair");
    let fds = [files[0].as_fd(), files[1].as_fd()];
    near.send_with_fds(b"two", &fds).await.expect("sent");
    near_seq.send_with_fds(b"", &fds[1..]).await.expect("sent");
    let (passed, buf) = far.recv_with_fds(room()).await.expect("received");
    assert_eq!((&buf[..], passed.fds.len()), (&b"two"[..], 2), "{name}");
    assert!(passed.fds.iter().all(is_closed_on_exec), "{name}");
    for (fd, file) in passed.fds.iter().zip(&files) {
        assert_eq!(identity(fd), identity(file), "{name}");
    }
    assert!(!passed.fds_lost && passed.credentials.is_none(), "{name}");
    let (passed, _) = far_seq.recv_with_fds(room()).await.expect("received");
    let passed = passed.expect("a message, though empty");
    assert_eq!((passed.bytes, passed.fds.len()), (0, 1), "{name}");
    assert_eq!(identity(&passed.fds[0]), identity(&files[1]), "{name}");

    // As many as a message can carry, and one more.
    let most = vec![files[0].as_fd(); 253];
    near.send_with_fds(b"most", &most).await.expect("sent");
    let (passed, _) = far.recv_with_fds(room()).await.expect("received");
    assert_eq!((passed.fds.len(), passed.fds_lost), (253, false), "{name}");
    let failed = near
        .send_with_fds(b"more", &vec![files[0].as_fd(); 254])
        .await;
    assert_eq!(
        failed.expect_err("too many").error.raw_os_error(),
        Some(libc::EINVAL),
        "{name}"
    );
}

async fn go_to_the_next(name: &str) {
    let file = File::open("/proc").expect("open");
    let (near, far) = UnixDatagram::pair().expect("a pair");
    for plain in [false, true] {
        {
            // Even a receive that would not have asked for them.
            let mut asking = pin!(far.recv_with_fds(room()));
            let mut not_asking = pin!(far.recv(room()));
            let began = if plain {
                begun(not_asking.as_mut()).await
            } else {
                begun(asking.as_mut()).await
            };
            assert!(began, "{name}");
            yield_now().await;
            near.send_with_fds(b"kept", &[file.as_fd()])
                .await
                .expect("sent");
            sleep(Duration::from_millis(1)).await;
        }
        let (passed, buf) = far.recv_with_fds(room()).await.expect("received");
        assert_eq!((&buf[..], passed.fds.len()), (&b"kept"[..], 1), "{name}");
        assert_eq!(identity(&passed.fds[0]), identity(&file), "{name}");
    }
}

async fn are_closed_by_a_receive_that_does_not_ask(name: &str) {
    let file = File::open("/").expect("open");
    let (near, far) = UnixDatagram::pair().expect("a pair");
    let before = open_fds();
    near.send_with_fds(b"unasked", &[file.as_fd()])
        .await
        .expect("sent");
    let (_, buf) = far.recv(room()).await.expect("received");
    assert_eq!(buf, b"unasked", "{name}");
    assert_eq!(open_fds(), before, "{name}");
}

async fn are_closed_with_their_socket(name: &str) {
    let file = File::open("/").expect("open");
    let before = open_fds();
    let (near, far) = UnixSeqpacket::pair().expect("a pair");
    {
        let mut receive = pin!(far.recv_with_fds(room()));
        assert!(begun(receive.as_mut()).await, "{name}");
        yield_now().await;
        for _ in 0..3 {
            near.send_with_fds(b"for nobody", &[file.as_fd()])
                .await
                .expect("sent");
        }
        sleep(Duration::from_millis(1)).await;
    }
    drop((near, far));
    settle().await;
    assert_eq!(open_fds(), before, "{name}");
}

async fn are_cut_by_a_receive_with_too_little_room(name: &str) {
    let file = File::open("/").expect("open");
    let driver = Context::current().driver().clone();
    let (near, far) = Socket::pair(Domain::UNIX, Type::DGRAM, None).expect("a pair");
    far.set_nonblocking(driver.wants_nonblocking())
        .expect("set");
    let near = UnixDatagram::from_std(near.into()).expect("taken over");
    let far = Shared::new(&driver, far);
    let before = open_fds();
    // Room for one header and two descriptors of the three.
    for (control_bytes, fits) in [(0, 0), (16, 0), (24, 2), (32, 3)] {
        near.send_with_fds(b"cut", &[file.as_fd(); 3])
            .await
            .expect("sent");
        let strays = Rc::<Strays>::default();
        let receive = RecvMsg::new(&far, room(), control_bytes, &strays);
        let ((received, meta), _) = Op::new(&driver, receive).await.expect("received");
        assert_eq!(
            (received, meta.fds.len()),
            (3, fits),
            "{name}: {control_bytes} bytes"
        );
        assert_eq!(
            meta.control_truncated,
            fits < 3,
            "{name}: {control_bytes} bytes"
        );
        drop(meta);
        assert_eq!(open_fds(), before, "{name}: {control_bytes} bytes");
    }
}

async fn credentials(name: &str) {
    let (near, far) = UnixSeqpacket::pair().expect("a pair");
    far.set_recv_credentials(true).expect("set");
    near.send(b"me").await.expect("sent");
    let (passed, _) = far.recv_with_fds(room()).await.expect("received");
    let from = passed.expect("a message").credentials.expect("told to say");
    assert_eq!(from.pid.cast_unsigned(), std::process::id(), "{name}");
    let own = std::fs::metadata("/proc/self").expect("metadata");
    assert_eq!((from.uid, from.gid), (own.uid(), own.gid()), "{name}");
}

/// 10,000 receives of descriptors that are cancelled, at any moment.
fn many_cancelled() {
    const CANCELS: u32 = 10_000;
    let seed = seed();
    for_each_driver(|runtime| {
        let mut random = Random::new(seed);
        runtime.block_on(async {
            let file = File::open("/proc").expect("open");
            let before = open_fds();
            let (near, far) = UnixDatagram::pair().expect("a pair");
            let (mut sent, mut received, mut cancelled) = (0_u32, 0_u32, 0_u32);
            let open = open_fds();
            let deadline = Instant::now() + Duration::from_secs(60);
            while cancelled < CANCELS || received < sent {
                if cancelled < CANCELS && sent - received < 5 && random.once_in(2) {
                    let bytes = sent.to_le_bytes().to_vec();
                    near.send_with_fds(bytes, &[file.as_fd()])
                        .await
                        .expect("sent");
                    sent += 1;
                }
                assert!(
                    Instant::now() < deadline,
                    "{received} of {sent} descriptors came"
                );
                let patience = Duration::from_micros(u64::from(random.below(3)));
                let Ok(answer) = timeout(patience, far.recv_with_fds(room())).await else {
                    cancelled += 1;
                    continue;
                };
                let (passed, buf) = answer.expect("received");
                assert_eq!(
                    (buf, passed.fds.len()),
                    (received.to_le_bytes().to_vec(), 1)
                );
                received += 1;
            }
            assert!(received > 100, "only {received} descriptors came");
            settle().await;
            assert_eq!(open_fds(), open);
            drop((near, far));
            settle().await;
            assert_eq!(open_fds(), before);
        });
    });
}
