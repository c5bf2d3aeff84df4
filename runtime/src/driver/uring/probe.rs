//! What this kernel's io_uring can do, found by doing it in a ring that is thrown away.
//!
//! Versions say little: vendors backport and forbid. So set-up flags are tried, opcodes are asked
//! for, and whatever has been seen to lie (multishot, buffer rings, messages) is done once on
//! sockets of the probe's own. The answer holds for the process, unless descriptors were short;
//! masks are applied to it afterwards.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::OnceLock;
use std::time::Duration;

use io_uring::{cqueue, opcode, squeue, types};
use socket2::SockRef;

use super::ring::{Cqe, Kernel, Ring};
use super::{Sqe, setup};
use crate::buf::{Aligned, IoBufMut, Provided};
use crate::driver::config::{Config, DriverKind, DriverReport};
use crate::driver::features::{Code, Feature, Mask};
use crate::sys::linux;

/// How long one test may take; a kernel that does the thing at all does it at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the probe found.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    pub(super) features: Mask,
    missing: Vec<(Feature, String)>,
    /// Something is missing only because descriptors were: the next driver may find more.
    in_want: bool,
}

impl Probed {
    pub(super) fn report(&self, config: &Config, setup: &[Feature]) -> DriverReport {
        let shown = self.features.without(config.disabled);
        let mut missing = self.missing.clone();
        for feature in Feature::ALL {
            if self.features.has(*feature) && config.disabled.has(*feature) {
                missing.push((*feature, "masked".to_owned()));
            }
        }
        DriverReport {
            kind: DriverKind::Uring,
            reason: String::new(),
            fell_back: false,
            setup: setup.iter().map(|feature| feature.name()).collect(),
            features: Feature::ALL
                .iter()
                .copied()
                .filter(|f| shown.has(*f))
                .collect(),
            missing,
            codes: Code::ALL
                .iter()
                .copied()
                .filter(|c| shown.has_code(*c))
                .collect(),
        }
    }
}

/// Probes once; later calls answer the same. After an error, or a want of descriptors, they try
/// anew.
///
/// # Errors
///
/// Why io_uring cannot be used at all, in words that name the remedy where there is one.
pub(super) fn probe(disabled: Mask) -> io::Result<Probed> {
    static PROBED: OnceLock<Probed> = OnceLock::new();
    let mut probed = match PROBED.get() {
        Some(probed) => probed.clone(),
        None => {
            let found = find()?;
            if found.in_want {
                found
            } else {
                PROBED.get_or_init(|| found).clone()
            }
        }
    };
    // Multishot receives need both, so hiding one hides the other's use as well.
    if disabled.has(Feature::BufRing) || disabled.has(Feature::Multishot) {
        probed.features = probed
            .features
            .without(Mask::NONE.with_code(Code::RecvMulti));
    }
    // The buffers are lent where there are multishot receives.
    if disabled.has_code(Code::RecvMulti) || !probed.features.has_code(Code::RecvMulti) {
        probed.features = probed
            .features
            .without(Mask::NONE.with_code(Code::RecvMsgMulti));
    }
    if disabled.has(Feature::Multishot) {
        probed.features = probed
            .features
            .without(Mask::NONE.with_code(Code::AcceptMulti));
    }
    Ok(probed)
}

fn find() -> io::Result<Probed> {
    let everything = Mask::parse("all").expect("a known word");
    let config = Config {
        sq_entries: 8,
        cq_entries: 32,
        ..Config::default()
    };
    let (ring, setup) = setup::open(&config, everything).map_err(|error| explain(&error))?;
    let mut test = Test { ring, open: 0 };
    let params = test.ring.io_uring().params();
    if !params.is_feature_ext_arg() || !params.is_feature_nodrop() {
        return Err(io::Error::other(
            "this kernel's io_uring is older than Linux 5.11",
        ));
    }
    let no_iowait = params.is_feature_no_iowait();
    test.nop().map_err(|error| explain(&error))?;

    let mut probed = Probed {
        features: Mask::NONE,
        missing: Vec::new(),
        in_want: false,
    };
    let mut note = |feature: Feature, found: io::Result<()>| match found {
        Ok(()) => probed.features = probed.features.with(feature),
        Err(error) => {
            probed.in_want |= matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
            probed.missing.push((feature, error.to_string()));
        }
    };
    for feature in [
        Feature::SingleIssuer,
        Feature::CoopTaskrun,
        Feature::DeferTaskrun,
        Feature::SubmitAll,
        Feature::NoSqarray,
    ] {
        note(
            feature,
            present(setup.contains(&feature), "set-up refuses it"),
        );
    }
    note(
        Feature::RingFd,
        present(test.ring.is_registered(), "Linux 5.18"),
    );
    note(Feature::NoIowait, present(no_iowait, "Linux 6.15"));
    note(Feature::Multishot, test.multishot());
    note(Feature::BufRing, test.buf_ring());
    note(Feature::MsgRing, test.message());
    note(Feature::ReadNowait, Ok(()));
    note(Feature::PollFirst, test.poll_first());
    note(Feature::SendAll, test.send_all());
    note(Feature::RegisteredBuffers, test.registered_buffers());
    probed.features = opcodes(&test.ring, probed.features).map_err(|error| explain(&error))?;
    if !test.knows_usage() {
        probed.features = probed.features.without(Mask::NONE.with_code(Code::SendZc));
    }
    Ok(probed)
}

fn present(found: bool, otherwise: &str) -> io::Result<()> {
    if found {
        Ok(())
    } else {
        Err(io::Error::other(otherwise.to_owned()))
    }
}

/// Names the likely cause of a refusal and what to do about it.
fn explain(error: &io::Error) -> io::Error {
    let remedy = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "forbidden by a seccomp filter or kernel.io_uring_disabled; \
             allow io_uring_setup, io_uring_enter and io_uring_register"
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring, or a filter hides it",
        Some(libc::ENOMEM) => "the locked-memory limit is too low; raise `ulimit -l`",
        Some(libc::EMFILE | libc::ENFILE) => "out of file descriptors; raise `ulimit -n`",
        _ => "the ring did not work",
    };
    io::Error::new(error.kind(), format!("{error}: {remedy}"))
}

fn opcodes(ring: &Ring, features: Mask) -> io::Result<Mask> {
    let mut known = io_uring::Probe::new();
    ring.io_uring().submitter().register_probe(&mut known)?;
    let multishot = features.has(Feature::Multishot);
    let buffers = features.has(Feature::BufRing);
    let mut found = features;
    for code in Code::ALL {
        let (opcode, also) = match code {
            Code::Nop => (opcode::Nop::CODE, true),
            Code::Ready => (opcode::PollAdd::CODE, true),
            Code::Accept => (opcode::Accept::CODE, true),
            Code::AcceptMulti => (opcode::AcceptMulti::CODE, multishot),
            Code::Connect => (opcode::Connect::CODE, true),
            Code::Recv => (opcode::Recv::CODE, true),
            Code::RecvMulti => (opcode::RecvMulti::CODE, multishot && buffers),
            Code::RecvMsg => (opcode::RecvMsg::CODE, true),
            Code::RecvMsgMulti => (opcode::RecvMsgMulti::CODE, multishot && buffers),
            Code::Send => (opcode::Send::CODE, true),
            Code::SendMsg => (opcode::SendMsg::CODE, true),
            Code::ReadAt => (opcode::Read::CODE, true),
            Code::WriteAt => (opcode::Write::CODE, true),
            Code::Fsync => (opcode::Fsync::CODE, true),
            Code::ReadVectoredAt => (opcode::Readv::CODE, true),
            Code::WriteVectoredAt => (opcode::Writev::CODE, true),
            Code::Ftruncate => (opcode::Ftruncate::CODE, true),
            Code::ReadStream => (opcode::Read::CODE, true),
            Code::WriteStream => (opcode::Write::CODE, true),
            Code::WaitId => (opcode::WaitId::CODE, true),
            Code::SendZc => (opcode::SendZc::CODE, true),
            Code::Splice => (opcode::Splice::CODE, true),
            Code::SendVectored => (opcode::SendMsg::CODE, true),
        };
        if also && known.is_supported(opcode) {
            found = found.with_code(*code);
        }
    }
    Ok(found)
}

/// The throw-away ring.
struct Test {
    ring: Ring,
    /// Entries whose last completion has not come.
    open: usize,
}

impl Test {
    /// Submits entries and gathers `want` completions.
    fn run(&mut self, entries: &[squeue::Entry], want: usize) -> io::Result<Vec<Cqe>> {
        for (place, entry) in entries.iter().enumerate() {
            let entry = entry.clone().user_data(place as u64);
            if !self.ring.push(&Sqe(entry)) {
                return Err(io::Error::other("the submission queue is full"));
            }
            self.open += 1;
        }
        self.gather(want)
    }

    /// Takes completions until there are `want`, or fewer where none can come any more: what the
    /// kernel refuses it refuses at once, and nobody is to wait for the rest.
    fn gather(&mut self, want: usize) -> io::Result<Vec<Cqe>> {
        let mut got = Vec::new();
        loop {
            self.ring.reap(&mut |cqe| got.push(cqe));
            let ended = got.iter().filter(|cqe| !cqueue::more(cqe.flags)).count();
            if got.len() >= want || ended >= self.open {
                self.open = self.open.saturating_sub(ended);
                return Ok(got);
            }
            match self.ring.enter(1, Some(PATIENCE)) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => {
                    return Err(io::Error::other("no completion came"));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn nop(&mut self) -> io::Result<()> {
        let got = self.run(&[opcode::Nop::new().build()], 1)?;
        answered(got.first()).map(drop)
    }

    /// Accepts two connections by one entry, then cancels it.
    fn multishot(&mut self) -> io::Result<()> {
        // An abstract name leaves nothing behind, whatever happens to this process.
        let name = format!(
            "annulet-probe-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let address = SocketAddr::from_abstract_name(name)?;
        let listener = UnixListener::bind_addr(&address)?;
        let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build();
        let _first = UnixStream::connect_addr(&address)?;
        let _second = UnixStream::connect_addr(&address)?;
        let got = self.run(&[accept], 2)?;
        got.iter().for_each(own);
        for cqe in &got {
            answered(Some(cqe))?;
        }
        if self.open == 0 {
            return Err(io::Error::other(
                "a multishot accept ended after one connection",
            ));
        }
        let cancel = opcode::AsyncCancel::new(0).build();
        self.run(&[cancel.flags(squeue::Flags::empty())], 2)
            .map(drop)
    }

    /// Receives twice by one entry into provided buffers.
    fn buf_ring(&mut self) -> io::Result<()> {
        const GROUP: u16 = 7;
        let provided = Provided::new(2, 4096)?;
        self.ring.lend_buffers(&provided, GROUP)?;
        let (mut near, far) = UnixStream::pair()?;
        let receive = opcode::RecvMulti::new(types::Fd(far.as_raw_fd()), GROUP).build();
        near.write_all(b"a")?;
        let got = self.run(&[receive], 1);
        drop(near);
        let ended = self.gather(1);
        self.ring.take_back_buffers(GROUP);
        let got = got?;
        let first = got.first();
        if answered(first)? != 1 || first.and_then(|c| cqueue::buffer_select(c.flags)).is_none() {
            return Err(io::Error::other("a receive took no provided buffer"));
        }
        ended.map(drop)
    }

    /// Receives what is there by an entry that waits first.
    fn poll_first(&mut self) -> io::Result<()> {
        let (mut near, far) = UnixStream::pair()?;
        near.write_all(b"a")?;
        let mut space = [0; 8];
        let receive = opcode::Recv::new(types::Fd(far.as_raw_fd()), space.as_mut_ptr(), 8).build();
        let got = self.run(&[Sqe(receive).poll_first().0], 1)?;
        match answered(got.first())? {
            1 => Ok(()),
            other => Err(io::Error::other(format!("{other} bytes for one"))),
        }
    }

    /// Cancels a send of more than there is room for. Kernels that go on sending and forget it once
    /// they are cancelled would have a write say that nothing of it was sent.
    fn send_all(&mut self) -> io::Result<()> {
        static MUCH: [u8; 1 << 14] = [0; 1 << 14];
        let (near, _far) = UnixStream::pair()?;
        SockRef::from(&near).set_send_buffer_size(1)?;
        let to = types::Fd(near.as_raw_fd());
        let send = opcode::Send::new(to, MUCH.as_ptr(), 1 << 14).flags(libc::MSG_WAITALL);
        let cancel = opcode::AsyncCancel::new(0);
        let got = self.run(&[send.build(), cancel.build()], 2)?;
        answered(got.iter().find(|cqe| cqe.user_data == 0)).map(drop)
    }

    /// Receives into memory that the ring knows by a number, which it knew nothing by before.
    fn registered_buffers(&mut self) -> io::Result<()> {
        let mut memory = Aligned::new(4096);
        self.ring.open_table(2)?;
        self.ring.register(1, Some(&memory))?;
        let (mut near, far) = UnixStream::pair()?;
        near.write_all(b"a")?;
        let from = types::Fd(far.as_raw_fd());
        let read = opcode::ReadFixed::new(from, memory.stable_mut_ptr(), 4096, 1).build();
        let got = self.run(&[read], 1);
        self.ring.register(1, None)?;
        self.ring.close_table();
        match answered(got?.first())? {
            1 => Ok(()),
            other => Err(io::Error::other(format!("{other} bytes for one"))),
        }
    }

    /// Whether a zero-copy send may ask what became of its buffer, without which it would not be
    /// known when to leave it. The socket need not be of a kind that can send so.
    fn knows_usage(&mut self) -> bool {
        const REPORT_USAGE: u16 = 1 << 3;
        let Ok((near, _far)) = UnixStream::pair() else {
            return false;
        };
        let send = opcode::SendZc::new(types::Fd(near.as_raw_fd()), b"!".as_ptr(), 1);
        let send = send.zc_flags(REPORT_USAGE).build();
        let Ok(got) = self.run(&[send], 1) else {
            return false;
        };
        let known = !matches!(
            got.first().map(|cqe| -cqe.result),
            None | Some(libc::EINVAL | libc::ENOSYS)
        );
        // The notification, where there is one.
        known && (self.open == 0 || self.gather(1).is_ok())
    }

    /// Sends itself a message.
    fn message(&mut self) -> io::Result<()> {
        let to_self = types::Fd(self.ring.raw_fd());
        let send = opcode::MsgRingData::new(to_self, 0, u64::MAX, None).build();
        let got = self.run(&[send], 1)?;
        for cqe in &got {
            answered(Some(cqe))?;
        }
        if got.len() < 2 {
            // The message is the last completion of no entry, and comes nevertheless.
            self.open += 1;
            self.gather(1)?;
        }
        Ok(())
    }
}

fn answered(cqe: Option<&Cqe>) -> io::Result<i32> {
    let cqe = cqe.ok_or_else(|| io::Error::other("no completion came"))?;
    if cqe.result < 0 {
        Err(io::Error::from_raw_os_error(-cqe.result))
    } else {
        Ok(cqe.result)
    }
}

/// Closes a descriptor that an accept has returned.
fn own(cqe: &Cqe) {
    if cqe.result >= 0 {
        drop(linux::own_fd(cqe.result));
    }
}
