//! Peers that never read, and peers that send one byte at a time.

use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use annulet::time::timeout;
use annulet::{CancelScope, Context};

use crate::support::adopted::adopted;
use crate::support::socket_variants::socket_variants;
use crate::{PATIENCE, alone, on_each_variant, settle};

/// Far more than the system takes for one connection.
const MUCH: usize = 64 << 20;

#[test]
fn a_write_that_its_timeout_ends_frees_its_buffer_once_the_kernel_lets_go() {
    on_each_variant(async |name| {
        let (peer, stream) = adopted();
        let shared: Rc<[u8]> = vec![7; MUCH].into();
        let soon = Duration::from_millis(5);
        assert!(
            timeout(soon, stream.write_all(Rc::clone(&shared)))
                .await
                .is_err()
        );
        settle(name).await;
        assert_eq!(
            Rc::strong_count(&shared),
            1,
            "{name}: somebody has it still"
        );
        let scope = CancelScope::with_timeout(soon);
        let ended = scope.run(stream.write_all(Rc::clone(&shared))).await;
        assert!(
            ended.is_err_and(|cancelled| cancelled.is_deadline()),
            "{name}"
        );
        settle(name).await;
        assert_eq!(
            Rc::strong_count(&shared),
            1,
            "{name}: somebody has it still"
        );
        drop(peer);
    });
}

#[test]
fn a_write_that_its_runtime_outlives_not_frees_its_buffer_with_it() {
    let _alone = alone();
    for variant in socket_variants() {
        let shared: Rc<[u8]> = vec![7; MUCH].into();
        let runtime = variant.builder().build().expect("a runtime");
        let peer = runtime.block_on(async {
            let (peer, stream) = adopted();
            let much = Rc::clone(&shared);
            annulet::spawn(async move { stream.write_all(much).await.map(drop) });
            crate::submitted().await;
            assert!(Context::current().driver().in_flight() > 0);
            peer
        });
        assert_eq!(Rc::strong_count(&shared), 2);
        drop(runtime);
        assert_eq!(Rc::strong_count(&shared), 1, "{}", variant.name);
        drop(peer);
    }
}

/// Each byte is a segment of its own, and mostly a receive; few buffers are enough for that.
#[test]
fn a_peer_that_sends_one_byte_at_a_time_is_understood() {
    const BYTES: usize = 4_000;
    on_each_variant(async |name| {
        let (mut peer, mut stream) = adopted();
        let sender = std::thread::spawn(move || {
            for at in 0..BYTES {
                peer.write_all(&[u8::try_from(at % 251).expect("small")])?;
            }
            Ok::<(), std::io::Error>(())
        });
        let (mut got, mut receives) = (Vec::new(), 0);
        let mut buf = [0; 7];
        loop {
            receives += 1;
            let before = got.len();
            match receives % 3 {
                0 => {
                    let lease = timeout(PATIENCE, stream.recv()).await.expect("in time");
                    got.extend_from_slice(&lease.expect("sent").map_or(vec![], |it| it.to_vec()));
                }
                1 => {
                    let read = stream.read(Vec::with_capacity(5)).await;
                    got.extend(read.expect("sent").1);
                }
                _ => {
                    let read = futures_util::AsyncReadExt::read(&mut stream, &mut buf).await;
                    got.extend_from_slice(&buf[..read.expect("sent")]);
                }
            }
            if got.len() == before {
                break;
            }
        }
        sender.join().expect("no panic").expect("sent");
        let sent = (0..BYTES).map(|at| u8::try_from(at % 251).expect("small"));
        assert!(sent.eq(got.iter().copied()), "{name}: {} bytes", got.len());
    });
}
