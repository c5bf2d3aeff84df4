//! The scene of the randomised test: streams, listeners and files, operations on them, and what
//! must come of each.
//!
//! The model is small: a stream's bytes come in order and without a gap, whoever asks for them;
//! every connection goes to somebody; a file's bytes are those of their place; what was sent is
//! what the peer got. Whatever differs is noted among the complaints of the simulated kernel.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use socket2::{SockAddr, Socket};

use super::support::{Inline, Rig, Stop, Task, Watched, fd, finish, next};
use crate::buf::{IoBuf, Lease};
use crate::driver::uring::sim::memory::Memory;
use crate::driver::uring::sim::sources::bytes_at;
use crate::driver::{Driver, Interest};
use crate::op::{
    Accept, AcceptMulti, Backlog, Connect, Fsync, Multi, Nop, Op, ReadAt, Ready, Recv, RecvMulti,
    Send, SendVectored, SendZc, Shared, Spill, SpliceFile, SplicePipe, WriteAt,
};

/// Calls something unless it is told not to: what a task leaves behind if it is dropped.
pub(super) struct IfDropped<F: FnMut()> {
    call: F,
    finished: bool,
}

impl<F: FnMut()> IfDropped<F> {
    pub(super) fn new(call: F) -> Self {
        Self {
            call,
            finished: false,
        }
    }

    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl<F: FnMut()> Drop for IfDropped<F> {
    fn drop(&mut self) {
        if !self.finished {
            (self.call)();
        }
    }
}

/// A stream, and what is known of it.
pub(super) struct Line {
    pub(super) socket: Shared<Socket>,
    name: u64,
    /// The next byte that a receive brings.
    place: Cell<u64>,
    spill: Rc<Spill>,
    receiving: Cell<bool>,
    sending: Cell<bool>,
    /// A multishot receive was dropped, and with it what it had received.
    pub(super) gap: Cell<bool>,
    sent: RefCell<Vec<u8>>,
    /// A send was dropped, so nobody knows what the peer got.
    sent_unknown: Cell<bool>,
    memory: Rc<Memory>,
}

/// A lease that is held, and what must stand in it.
pub(super) struct Held(Lease, Vec<u8>);

pub(super) type Leases = Rc<RefCell<VecDeque<Held>>>;

impl Line {
    pub(super) fn new(rig: &Rig, name: u64) -> Rc<Self> {
        Rc::new(Self {
            socket: rig.stream(name),
            name,
            place: Cell::new(0),
            spill: Rc::default(),
            receiving: Cell::new(false),
            sending: Cell::new(false),
            gap: Cell::new(false),
            sent: RefCell::default(),
            sent_unknown: Cell::new(false),
            memory: Rc::clone(&rig.memory),
        })
    }

    fn received(&self, bytes: &[u8]) {
        let place = self.place.replace(self.place.get() + bytes.len() as u64);
        if !self.gap.get() && bytes != bytes_at(self.name, place, bytes.len()) {
            self.memory.complain(format!(
                "stream {} brought other bytes than those from place {place} on",
                self.name
            ));
        }
    }

    /// Whether a receive may begin; what was received for nobody comes first.
    fn begin_receive(&self) -> bool {
        if self.receiving.get() || self.spill.is_busy() {
            return false;
        }
        let mut bytes = [0; 256];
        while !self.spill.is_empty() {
            let count = self.spill.take(&mut bytes);
            self.received(&bytes[..count]);
        }
        self.receiving.set(true);
        true
    }

    pub(super) fn receive(self: &Rc<Self>, bytes: usize) -> Option<Task<()>> {
        let line = Rc::clone(self);
        line.begin_receive().then(|| {
            Task::new("receive", |stop| async move {
                let _end = IfDropped::new(|| line.receiving.set(false));
                let buf = Watched::new(&line.memory, bytes);
                let op = Op::new(
                    line.socket.driver(),
                    Recv::new(&line.socket, buf, &line.spill),
                );
                if let Ok((count, buf)) = finish(op, stop).await {
                    assert_eq!(count, buf.bytes_init());
                    line.received(buf.as_init());
                }
            })
        })
    }

    pub(super) fn receive_many(self: &Rc<Self>, leases: &Leases) -> Option<Task<()>> {
        let (line, leases) = (Rc::clone(self), Rc::clone(leases));
        line.begin_receive().then(|| {
            Task::new("multishot receive", |stop| async move {
                let _end = IfDropped::new(|| line.receiving.set(false));
                let gap = IfDropped::new(|| line.gap.set(true));
                let multi = RecvMulti::new(&line.socket);
                line.collect(Multi::new(line.socket.driver(), multi), &leases, stop)
                    .await;
                gap.finish();
            })
        })
    }

    async fn collect(&self, mut multi: Multi<RecvMulti>, leases: &Leases, stop: Stop) {
        loop {
            let (item, ended) = match next(&mut multi, &stop).await {
                Ok(item) => (item, false),
                Err(last) => (last, true),
            };
            if let Ok(Some(lease)) = item {
                self.received(&lease);
                let bytes = lease.to_vec();
                leases.borrow_mut().push_back(Held(lease, bytes));
            }
            if ended {
                return;
            }
        }
    }

    /// A receive into a buffer inside its slot. What a dropped one has received is lost.
    pub(super) fn receive_inline(self: &Rc<Self>) -> Option<Task<()>> {
        let line = Rc::clone(self);
        line.begin_receive().then(|| {
            Task::new("inline receive", |stop| async move {
                let _end = IfDropped::new(|| line.receiving.set(false));
                let gap = IfDropped::new(|| line.gap.set(true));
                let receive = Inline::<48>::new(&line.socket, &line.memory);
                if let Ok(bytes) = finish(Op::new(line.socket.driver(), receive), stop).await {
                    line.received(&bytes);
                }
                gap.finish();
            })
        })
    }

    pub(super) fn send(self: &Rc<Self>, bytes: usize) -> Option<Task<()>> {
        let line = Rc::clone(self);
        (!line.sending.replace(true)).then(|| {
            Task::new("send", |stop| async move {
                let _end = IfDropped::new(|| line.sending.set(false));
                let unknown = IfDropped::new(|| line.sent_unknown.set(true));
                let place = line.sent.borrow().len() as u64;
                let bytes = bytes_at(!line.name & 0xff_ffff, place, bytes);
                let send = Send::new(&line.socket, Watched::of(&line.memory, &bytes), 0);
                if let Ok((count, buf)) = finish(Op::new(line.socket.driver(), send), stop).await {
                    if buf.as_init() != bytes {
                        line.memory.complain("a sent buffer changed".to_owned());
                    }
                    line.sent.borrow_mut().extend(&bytes[..count]);
                }
                unknown.finish();
            })
        })
    }

    pub(super) fn send_zc(self: &Rc<Self>, bytes: usize) -> Option<Task<()>> {
        let line = Rc::clone(self);
        (!line.sending.replace(true)).then(|| {
            Task::new("zero-copy send", |stop| async move {
                let _end = IfDropped::new(|| line.sending.set(false));
                let unknown = IfDropped::new(|| line.sent_unknown.set(true));
                let place = line.sent.borrow().len() as u64;
                let bytes = bytes_at(!line.name & 0xff_ffff, place, bytes);
                let send = SendZc::new(Send::all(
                    &line.socket,
                    Watched::of(&line.memory, &bytes),
                    0,
                ));
                if let Ok((sent, buf)) = finish(Op::new(line.socket.driver(), send), stop).await {
                    if buf.as_init() != bytes {
                        line.memory.complain("a sent buffer changed".to_owned());
                    }
                    line.sent.borrow_mut().extend(&bytes[..sent.bytes]);
                }
                unknown.finish();
            })
        })
    }

    /// A part of several buffers, the first of which was sent in part before.
    pub(super) fn send_vectored(self: &Rc<Self>, bytes: usize) -> Option<Task<()>> {
        let line = Rc::clone(self);
        (!line.sending.replace(true)).then(|| {
            Task::new("vectored send", |stop| async move {
                let _end = IfDropped::new(|| line.sending.set(false));
                let unknown = IfDropped::new(|| line.sent_unknown.set(true));
                let place = line.sent.borrow().len() as u64;
                let bytes = bytes_at(!line.name & 0xff_ffff, place, bytes);
                let cuts = [0, bytes.len() / 3, bytes.len() / 2, bytes.len()];
                let part = |cut: &[usize]| Watched::of(&line.memory, &bytes[cut[0]..cut[1]]);
                let mut parts: Vec<Watched> = cuts.windows(2).map(part).collect();
                parts.insert(0, Watched::of(&line.memory, b"sent before"));
                let send = SendVectored::new(&line.socket, parts, 11);
                if let Ok((count, _)) = finish(Op::new(line.socket.driver(), send), stop).await {
                    line.sent.borrow_mut().extend(&bytes[..count]);
                }
                unknown.finish();
            })
        })
    }

    pub(super) fn ready(self: &Rc<Self>) -> Task<()> {
        let line = Rc::clone(self);
        Task::new("ready", |stop| async move {
            let ready = Ready::new(&line.socket, Interest::Readable).expect("a socket");
            let _answer = finish(Op::new(line.socket.driver(), ready), stop).await;
        })
    }

    pub(super) fn connect(self: &Rc<Self>) -> Task<()> {
        let line = Rc::clone(self);
        Task::new("connect", |stop| async move {
            let address = SockAddr::unix("/nowhere/in/particular").unwrap();
            let connect = Connect::new(&line.socket, address);
            let _answer = finish(Op::new(line.socket.driver(), connect), stop).await;
        })
    }

    /// What the peer got is what was sent.
    pub(super) fn check_sent(&self, rig: &Rig) {
        let sent = self.sent.borrow();
        let sure = !self.sent_unknown.get() && !self.sending.get();
        if sure && rig.world.sent(fd(&*self.socket)) != *sent {
            self.memory
                .complain(format!("stream {} lost bytes sent", self.name));
        }
    }
}

/// Gives the oldest lease back, after a last look at it.
pub(super) fn release(leases: &Leases, memory: &Memory) {
    if let Some(Held(lease, bytes)) = leases.borrow_mut().pop_front()
        && *lease != *bytes
    {
        memory.complain("a leased buffer changed".to_owned());
    }
}

/// A listener, and the connections that came out of it.
pub(super) struct Door {
    pub(super) socket: Shared<Socket>,
    backlog: Rc<Backlog>,
    taken: RefCell<Vec<Socket>>,
}

impl Door {
    pub(super) fn new(rig: &Rig) -> Rc<Self> {
        Rc::new(Self {
            socket: rig.listener(),
            backlog: Rc::default(),
            taken: RefCell::default(),
        })
    }

    pub(super) fn accept(self: &Rc<Self>) -> Task<()> {
        let door = Rc::clone(self);
        Task::new("accept", |stop| async move {
            let accept = Accept::new(&door.socket, &door.backlog);
            let taken = finish(Op::new(door.socket.driver(), accept), stop).await;
            door.taken.borrow_mut().extend(taken);
        })
    }

    pub(super) fn accept_many(self: &Rc<Self>) -> Task<()> {
        let door = Rc::clone(self);
        Task::new("multishot accept", |stop| async move {
            let accept = AcceptMulti::new(&door.socket, &door.backlog);
            let mut multi = Multi::new(door.socket.driver(), accept);
            loop {
                let item = next(&mut multi, &stop).await;
                let ended = item.is_err();
                let taken = item.unwrap_or_else(|last| last);
                door.taken.borrow_mut().extend(taken);
                if ended {
                    return;
                }
            }
        })
    }

    /// Every connection went to somebody, and is closed with them.
    pub(super) fn check(&self, rig: &Rig) {
        let mut taken = self.taken.borrow_mut();
        taken.extend(std::iter::from_fn(|| self.backlog.take()));
        let number = fd(&*self.socket);
        let (accepted, _) = rig.world.accepted(number);
        let count = taken.len();
        taken.clear();
        let (_, open) = rig.world.accepted(number);
        if (count, open) != (accepted, 0) {
            rig.memory.complain(format!(
                "of {accepted} connections {count} came out and {open} were never closed"
            ));
        }
    }
}

/// A file of this length whose bytes are those of its name.
pub(super) struct Page {
    file: Shared<File>,
    /// Another descriptor of the same.
    spliced: Arc<OwnedFd>,
    name: u64,
    memory: Rc<Memory>,
}

pub(super) const PAGE_BYTES: u64 = 4096;

impl Page {
    pub(super) fn new(rig: &Rig, name: u64) -> Rc<Self> {
        let (near, _far) = UnixStream::pair().expect("a pair");
        let spliced = Arc::new(OwnedFd::from(near));
        rig.world.open_file(fd(&*spliced), name, PAGE_BYTES);
        Rc::new(Self {
            file: rig.file(name, PAGE_BYTES),
            spliced,
            name,
            memory: Rc::clone(&rig.memory),
        })
    }

    pub(super) fn read(self: &Rc<Self>, offset: u64, bytes: usize) -> Task<()> {
        let page = Rc::clone(self);
        Task::new("read", |stop| async move {
            let buf = Watched::new(&page.memory, bytes);
            let read = ReadAt::new(&page.file, buf, 0, offset, false);
            if let Ok((count, buf)) = finish(Op::new(page.file.driver(), read), stop).await {
                let end = count == 0 && offset >= PAGE_BYTES;
                let good = count > 0 && buf.as_init() == bytes_at(page.name, offset, count);
                if !end && !good {
                    page.memory.complain(format!("a bad read at {offset}"));
                }
            }
        })
    }

    pub(super) fn write(self: &Rc<Self>, offset: u64, bytes: usize) -> Task<()> {
        let page = Rc::clone(self);
        Task::new("write", |stop| async move {
            let bytes = bytes_at(page.name, offset, bytes);
            let write = WriteAt::new(&page.file, Watched::of(&page.memory, &bytes), 0, offset);
            let written = finish(Op::new(page.file.driver(), write), stop).await;
            if let Ok((count, buf)) = written
                && (count > bytes.len() || buf.as_init() != bytes)
            {
                page.memory.complain(format!("a bad write at {offset}"));
            }
        })
    }

    /// Moves a part of the file into a pipe.
    pub(super) fn splice(self: &Rc<Self>, offset: u64, bytes: u64) -> Task<()> {
        let page = Rc::clone(self);
        Task::new("splice", |stop| async move {
            let driver = page.file.driver();
            let pipe = SplicePipe::take(driver).expect("a pipe");
            if pipe.bytes() > 0 {
                page.memory.complain("a pipe was not empty".to_owned());
            }
            let splice = SpliceFile::new(&page.spliced, pipe, offset, bytes);
            let left = PAGE_BYTES.saturating_sub(offset).min(bytes);
            if let Ok((moved, pipe)) = finish(Op::new(driver, splice), stop).await
                && (moved as u64 > left || (moved == 0) != (left == 0) || pipe.bytes() != moved)
            {
                page.memory
                    .complain(format!("a bad splice of {moved} at {offset}"));
            }
        })
    }

    pub(super) fn sync(self: &Rc<Self>) -> Task<()> {
        let page = Rc::clone(self);
        Task::new("fsync", |stop| async move {
            let _answer = finish(
                Op::new(page.file.driver(), Fsync::new(&page.file, false)),
                stop,
            )
            .await;
        })
    }
}

pub(super) fn nop(driver: &Driver) -> Task<()> {
    let op = Op::new(driver, Nop);
    Task::new("nop", |stop| async move {
        let _answer = finish(op, stop).await;
    })
}
