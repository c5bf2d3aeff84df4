//! A worker: one of each thing that has operations, with a plain peer for each.
//!
//! What the peers send says where in its stream it stands (byte `n` is `n % 251`), so a lost,
//! doubled or overwritten byte is seen. What is sent and written to them is [`SENT`] throughout, so
//! a buffer that was freed before the kernel had read it is seen as well.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Seek, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use annulet::buf::{BufResult, Lease};
use annulet::fs::File;
use annulet::net::{TcpListener, TcpStream};
use annulet::op::{Fsync, Nop, Op, ReadAt, Ready, Recv, Shared, Spill, WriteAt};
use annulet::time::sleep;
use annulet::{Context, Interest};
use socket2::Socket;

use super::trial::{Outcome, Trial};
use crate::support::random::Random;
use crate::support::streams::connected;

/// The one byte that workers send.
const SENT: u8 = b'W';
/// Bytes of the file that is read.
const FILE_BYTES: u32 = 1 << 16;
/// Bytes fed to a stream and not yet read, at most.
const AHEAD_MAX: u64 = 1 << 14;
/// Leases that a worker holds.
const LEASES_MAX: usize = 2;

fn pattern(at: u64) -> u8 {
    u8::try_from(at % 251).expect("below 251")
}

fn patterned(bytes: &[u8], from: u64) -> bool {
    (from..).zip(bytes).all(|(at, byte)| pattern(at) == *byte)
}

/// What went wrong, across workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(Rc<RefCell<Vec<String>>>);

impl Findings {
    fn note(&self, finding: String) {
        self.0.borrow_mut().push(finding);
    }

    pub(crate) fn list(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// The receiving side of a stream, and the sender.
struct Incoming<S> {
    peer: S,
    fed: u64,
    seen: u64,
    broken: bool,
}

impl<S: Write> Incoming<S> {
    fn new(peer: S) -> Self {
        Self {
            peer,
            fed: 0,
            seen: 0,
            broken: false,
        }
    }

    /// Sends the next bytes.
    fn feed(&mut self, bytes: u32) {
        if self.fed - self.seen > AHEAD_MAX {
            return;
        }
        let bytes: Vec<u8> = (self.fed..).take(bytes as usize).map(pattern).collect();
        // The send buffer has room for much more than is ever ahead.
        self.peer.write_all(&bytes).expect("room to send");
        self.fed += bytes.len() as u64;
    }

    /// Takes what was received; answers where in the stream it stood.
    fn take(&mut self, what: &str, bytes: &[u8], findings: &Findings) -> u64 {
        let from = self.seen;
        self.seen += bytes.len() as u64;
        if !self.broken && !patterned(bytes, from) {
            self.broken = true;
            findings.note(format!("{what}: wrong bytes at {from} of the stream"));
        }
        from
    }
}

/// Everything that one worker operates on.
pub(crate) struct Worker {
    random: Random,
    findings: Findings,
    incoming: Incoming<StdStream>,
    stream: Rc<TcpStream>,
    outgoing: Rc<TcpStream>,
    drain: StdStream,
    raw_incoming: Incoming<UnixStream>,
    raw: Shared<Socket>,
    spill: Rc<Spill>,
    listener: Rc<TcpListener>,
    listens_at: SocketAddr,
    target: StdListener,
    target_at: SocketAddr,
    file: Rc<File>,
    raw_file: Shared<std::fs::File>,
    out_file: Shared<std::fs::File>,
    out: std::fs::File,
    leases: VecDeque<(u64, Lease)>,
}

/// A connection whose near end neither gathers nor waits.
fn eager() -> io::Result<(StdStream, StdStream)> {
    let (near, far) = connected()?;
    near.set_nodelay(true)?;
    near.set_nonblocking(true)?;
    Ok((near, far))
}

impl Worker {
    pub(crate) async fn new(seed: u64, findings: &Findings) -> io::Result<Self> {
        let context = Context::current();
        let driver = context.driver();
        let (peer, far) = eager()?;
        let (drain, outgoing) = eager()?;
        let (raw_peer, raw) = UnixStream::pair()?;
        raw_peer.set_nonblocking(true)?;
        raw.set_nonblocking(driver.wants_nonblocking())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let target = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        target.set_nonblocking(true)?;
        let mut file = tempfile::tempfile()?;
        let content: Vec<u8> = (0..u64::from(FILE_BYTES)).map(pattern).collect();
        file.write_all(&content)?;
        let out = tempfile::tempfile()?;
        Ok(Self {
            random: Random::new(seed),
            findings: findings.clone(),
            incoming: Incoming::new(peer),
            stream: Rc::new(TcpStream::from_std(far)?),
            outgoing: Rc::new(TcpStream::from_std(outgoing)?),
            drain,
            raw_incoming: Incoming::new(raw_peer),
            raw: Shared::new(driver, Socket::from(raw)),
            spill: Rc::default(),
            listens_at: listener.local_addr()?,
            listener: Rc::new(listener),
            target_at: target.local_addr()?,
            target,
            file: Rc::new(File::from_std(file.try_clone()?)),
            raw_file: Shared::new(driver, file),
            out_file: Shared::new(driver, out.try_clone()?),
            out,
            leases: VecDeque::new(),
        })
    }

    /// Operates and cancels `pairs` times; stops early at the first finding of anybody.
    pub(crate) async fn run(&mut self, pairs: u32) {
        for _ in 0..pairs {
            if !self.findings.0.borrow().is_empty() {
                return;
            }
            let trial = Trial::draw(&mut self.random);
            match self.random.below(24) {
                0..=4 => self.lease(trial).await,
                5..=7 => self.read(trial).await,
                8..=9 => self.raw_read(trial).await,
                10..=12 => self.write(trial).await,
                13..=14 => self.accept(trial).await,
                15 => self.connect(trial).await,
                16..=17 => self.read_file(trial).await,
                18..=19 => self.write_file(trial).await,
                20 => self.sleep(trial).await,
                21 => self.nop(trial).await,
                22 => self.ready(trial).await,
                _ => self.blocking(trial).await,
            }
        }
        self.finish().await;
    }

    fn stuck(&self, what: &str, trial: Trial) {
        self.findings
            .note(format!("{what}: no answer after {trial:?}"));
    }

    async fn lease(&mut self, trial: Trial) {
        let stream = Rc::clone(&self.stream);
        let bytes = 1 + self.random.below(600);
        let incoming = &mut self.incoming;
        let outcome = trial
            .run(async move { stream.recv().await }, || incoming.feed(bytes))
            .await;
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Stuck => self.stuck("recv", trial),
            Outcome::Answered(Ok(Some(lease))) => {
                let from = self.incoming.take("recv", &lease, &self.findings);
                self.leases.push_back((from, lease));
            }
            Outcome::Answered(other) => self.findings.note(format!("recv: {other:?}")),
        }
        while self.leases.len() > LEASES_MAX || (self.random.once_in(4) && !self.leases.is_empty())
        {
            self.look_at_oldest_lease();
        }
    }

    /// A lease shows the same bytes for as long as it lives.
    fn look_at_oldest_lease(&mut self) {
        let Some((from, lease)) = self.leases.pop_front() else {
            return;
        };
        if !self.incoming.broken && !patterned(&lease, from) {
            self.findings
                .note(format!("a lease of the bytes at {from} was overwritten"));
        }
    }

    async fn read(&mut self, trial: Trial) {
        let stream = Rc::clone(&self.stream);
        let bytes = 1 + self.random.below(600);
        let buf = Vec::with_capacity(1 + self.random.below(1500) as usize);
        let incoming = &mut self.incoming;
        let outcome = trial
            .run(async move { stream.read(buf).await }, || {
                incoming.feed(bytes);
            })
            .await;
        Self::received("read", trial, outcome, &mut self.incoming, &self.findings);
    }

    async fn raw_read(&mut self, trial: Trial) {
        let bytes = 1 + self.random.below(600);
        if self.spill.is_busy() || !self.spill.is_empty() {
            // Bytes of a dropped receive come first.
            self.take_spilled().await;
            return;
        }
        let buf = vec![0; 1 + self.random.below(1500) as usize].into_boxed_slice();
        let op = Op::new(self.raw.driver(), Recv::new(&self.raw, buf, &self.spill));
        let incoming = &mut self.raw_incoming;
        let outcome = match trial.run_op(op, || incoming.feed(bytes)).await {
            Outcome::Answered(Ok((read, buf))) => Outcome::Answered(Ok((read, buf.into_vec()))),
            // Asked to end, it ended: with its buffer.
            Outcome::Answered(Err(failure)) => {
                self.ended("raw recv", trial, &failure.error);
                Outcome::Cancelled
            }
            Outcome::Cancelled => Outcome::Cancelled,
            Outcome::Stuck => Outcome::Stuck,
        };
        let incoming = &mut self.raw_incoming;
        Self::received("raw recv", trial, outcome, incoming, &self.findings);
    }

    async fn take_spilled(&mut self) {
        while self.spill.is_busy() {
            annulet::yield_now().await;
        }
        let mut bytes = vec![0; 4096];
        let count = self.spill.take(&mut bytes);
        self.raw_incoming
            .take("spill", &bytes[..count], &self.findings);
    }

    fn received<S: Write>(
        what: &str,
        trial: Trial,
        outcome: Outcome<BufResult<usize, Vec<u8>>>,
        incoming: &mut Incoming<S>,
        findings: &Findings,
    ) {
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Stuck => findings.note(format!("{what}: no answer after {trial:?}")),
            Outcome::Answered(Ok((0, _))) => findings.note(format!("{what}: the end")),
            Outcome::Answered(Ok((read, buf))) => {
                incoming.take(what, &buf[..read], findings);
            }
            Outcome::Answered(Err(failure)) => findings.note(format!("{what}: {failure:?}")),
        }
    }

    async fn write(&mut self, trial: Trial) {
        let stream = Rc::clone(&self.outgoing);
        // Now and then more than the socket takes, so that the send waits for the peer.
        let bytes = if self.random.once_in(16) {
            1 << 18
        } else {
            1 + self.random.below(2000) as usize
        };
        let buf = vec![SENT; bytes];
        let (drain, findings) = (&mut self.drain, &self.findings);
        let outcome = trial
            .run(async move { stream.write(buf).await }, || {
                drain_sent(drain, findings);
            })
            .await;
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Stuck => self.stuck("write", trial),
            Outcome::Answered(Ok((_, buf))) => {
                if buf.iter().any(|byte| *byte != SENT) {
                    self.findings.note("write: a changed buffer".to_owned());
                }
            }
            Outcome::Answered(Err(failure)) => self.findings.note(format!("write: {failure:?}")),
        }
        drain_sent(&mut self.drain, &self.findings);
    }

    async fn accept(&mut self, trial: Trial) {
        let listener = Rc::clone(&self.listener);
        let address = self.listens_at;
        let mut client = None;
        let outcome = trial
            .run(async move { listener.accept().await }, || {
                client = Some(StdStream::connect(address));
            })
            .await;
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Stuck => self.stuck("accept", trial),
            Outcome::Answered(Ok(_)) => {}
            Outcome::Answered(Err(error)) => self.findings.note(format!("accept: {error}")),
        }
        if let Some(Err(error)) = client {
            self.findings
                .note(format!("connecting to the listener: {error}"));
        }
    }

    async fn connect(&mut self, trial: Trial) {
        let target = &self.target;
        let outcome = trial
            .run(TcpStream::connect(self.target_at), || take_all(target))
            .await;
        match outcome {
            Outcome::Answered(Ok(_)) | Outcome::Cancelled => {}
            Outcome::Stuck => self.stuck("connect", trial),
            Outcome::Answered(Err(error)) => self.findings.note(format!("connect: {error}")),
        }
        take_all(&self.target);
    }

    async fn read_file(&mut self, trial: Trial) {
        let offset = u64::from(self.random.below(FILE_BYTES - 1));
        let buf = Vec::with_capacity(1 + self.random.below(5000) as usize);
        let outcome = if self.random.once_in(2) {
            let file = Rc::clone(&self.file);
            trial
                .run(async move { file.read_at(buf, offset).await }, || {})
                .await
        } else {
            let read = ReadAt::new(&self.raw_file, buf, 0, offset, false);
            trial
                .run_op(Op::new(self.raw_file.driver(), read), || {})
                .await
        };
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Stuck => self.stuck("read_at", trial),
            Outcome::Answered(Ok((read, buf))) => {
                if read == 0 || !patterned(&buf[..read], offset) {
                    self.findings
                        .note(format!("read_at: wrong bytes ({read}) at {offset}"));
                }
            }
            Outcome::Answered(Err(failure)) => self.ended("read_at", trial, &failure.error),
        }
    }

    /// An operation failed; that is right only if it was asked to end.
    fn ended(&self, what: &str, trial: Trial, error: &io::Error) {
        let asked = !trial.completes() && error.raw_os_error() == Some(ECANCELED);
        if !asked {
            self.findings.note(format!("{what}: {error} in {trial:?}"));
        }
    }

    async fn write_file(&mut self, trial: Trial) {
        let offset = u64::from(self.random.below(FILE_BYTES));
        let buf = vec![SENT; 1 + self.random.below(5000) as usize];
        let driver = self.out_file.driver();
        let outcome = if self.random.once_in(64) {
            let sync = Op::new(driver, Fsync::new(&self.out_file, true));
            trial.run_op(sync, || {}).await
        } else {
            let write = Op::new(driver, WriteAt::new(&self.out_file, buf, 0, offset));
            match trial.run_op(write, || {}).await {
                Outcome::Answered(answer) => {
                    Outcome::Answered(answer.map(drop).map_err(|failure| failure.error))
                }
                Outcome::Cancelled => Outcome::Cancelled,
                Outcome::Stuck => Outcome::Stuck,
            }
        };
        match outcome {
            Outcome::Answered(Ok(())) | Outcome::Cancelled => {}
            Outcome::Stuck => self.stuck("write_at", trial),
            Outcome::Answered(Err(error)) => self.ended("write_at", trial, &error),
        }
    }

    async fn sleep(&mut self, trial: Trial) {
        let time = Duration::from_micros(self.random.below(300).into());
        if matches!(trial.run(sleep(time), || {}).await, Outcome::Stuck) {
            self.stuck("sleep", trial);
        }
    }

    async fn nop(&mut self, trial: Trial) {
        let op = Op::new(self.raw.driver(), Nop);
        if matches!(trial.run_op(op, || {}).await, Outcome::Stuck) {
            self.stuck("nop", trial);
        }
    }

    async fn ready(&mut self, trial: Trial) {
        let bytes = 1 + self.random.below(100);
        let ready = Ready::new(&self.raw, Interest::Readable).expect("a socket can be watched");
        let op = Op::new(self.raw.driver(), ready);
        // Readiness may be reported on its rise alone, so what arrived before is taken first.
        self.drain_raw().await;
        let incoming = &mut self.raw_incoming;
        match trial.run_op(op, || incoming.feed(bytes)).await {
            Outcome::Stuck => self.stuck("ready", trial),
            Outcome::Cancelled | Outcome::Answered(_) => {}
        }
    }

    async fn blocking(&mut self, trial: Trial) {
        match trial.run(annulet::spawn_blocking(|| 42), || {}).await {
            Outcome::Stuck => self.stuck("spawn_blocking", trial),
            Outcome::Answered(Err(error)) => self.findings.note(format!("blocking: {error}")),
            Outcome::Cancelled | Outcome::Answered(Ok(_)) => {}
        }
    }

    async fn drain_raw(&mut self) {
        while self.raw_incoming.seen < self.raw_incoming.fed && !self.raw_incoming.broken {
            if self.spill.is_busy() || !self.spill.is_empty() {
                self.take_spilled().await;
                continue;
            }
            let op = Recv::new(&self.raw, Vec::with_capacity(4096), &self.spill);
            let patience = Duration::from_secs(10);
            let read = annulet::time::timeout(patience, Op::new(self.raw.driver(), op)).await;
            match read {
                Ok(Ok((read, buf))) => {
                    self.raw_incoming
                        .take("raw recv", &buf[..read], &self.findings);
                }
                other => {
                    self.raw_incoming.broken = true;
                    self.findings.note(format!("draining the pair: {other:?}"));
                }
            }
        }
    }

    /// Nothing is missing: every byte that was sent has been or is now received.
    async fn finish(&mut self) {
        while !self.leases.is_empty() {
            self.look_at_oldest_lease();
        }
        while self.incoming.seen < self.incoming.fed && !self.incoming.broken {
            match annulet::time::timeout(Duration::from_secs(10), self.stream.recv()).await {
                Ok(Ok(Some(lease))) => {
                    self.incoming.take("recv", &lease, &self.findings);
                }
                other => {
                    self.incoming.broken = true;
                    let (seen, fed) = (self.incoming.seen, self.incoming.fed);
                    self.findings
                        .note(format!("{seen} of {fed} bytes, then {other:?}"));
                }
            }
        }
        self.drain_raw().await;
        let mut written = Vec::new();
        let read = self
            .out
            .rewind()
            .and_then(|()| self.out.read_to_end(&mut written));
        if read.is_err() || written.iter().any(|byte| *byte != SENT && *byte != 0) {
            self.findings
                .note("write_at: wrong bytes in the file".to_owned());
        }
    }
}

const ECANCELED: i32 = 125;

fn drain_sent(drain: &mut StdStream, findings: &Findings) {
    let mut space = [0; 1 << 14];
    while let Ok(read) = drain.read(&mut space) {
        if space[..read].iter().any(|byte| *byte != SENT) {
            findings.note("write: sent what was not in the buffer".to_owned());
        }
        if read < space.len() {
            return;
        }
    }
}

fn take_all(listener: &StdListener) {
    while let Ok((stream, _)) = listener.accept() {
        drop(stream);
    }
}
