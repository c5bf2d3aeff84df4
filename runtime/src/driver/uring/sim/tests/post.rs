//! Messages in the randomised test: each comes once, whole and in order, with its descriptor.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use socket2::{SockAddr, Socket};

use super::scene::IfDropped;
use super::support::{Rig, Task, Watched, fd, finish, next};
use crate::buf::IoBuf;
use crate::driver::uring::sim::memory::Memory;
use crate::driver::uring::sim::sources::{CONTROL_BYTES, letter_at};
use crate::op::{Attach, Meta, Multi, Op, RecvMsg, RecvMsgMulti, SendMsg, Shared, Strays};

/// A socket of messages, and what is known of it.
pub(super) struct Post {
    pub(super) socket: Shared<Socket>,
    name: u64,
    strays: Rc<Strays>,
    /// The number of the next message.
    next: Cell<u16>,
    receiving: Cell<bool>,
    /// A multishot receive was dropped, and with it what it had received.
    gap: Cell<bool>,
    sending: Cell<bool>,
    sent: RefCell<Vec<Vec<u8>>>,
    /// A send was dropped, so nobody knows whether it was sent.
    sent_unknown: Cell<bool>,
    memory: Rc<Memory>,
}

impl Post {
    pub(super) fn new(rig: &Rig, name: u64) -> Rc<Self> {
        Rc::new(Self {
            socket: rig.letterbox(name),
            name,
            strays: Rc::default(),
            next: Cell::new(0),
            receiving: Cell::new(false),
            gap: Cell::new(false),
            sending: Cell::new(false),
            sent: RefCell::default(),
            sent_unknown: Cell::new(false),
            memory: Rc::clone(&rig.memory),
        })
    }

    fn received(&self, bytes: &[u8], meta: &Meta) {
        let port = meta.source_addr().map(|address| address.port());
        let number = self.next.replace(port.unwrap_or(0) + 1);
        let in_order = port == Some(number) || (self.gap.get() && port > Some(number));
        let number = port.unwrap_or(0);
        if !in_order || bytes != letter_at(self.name, number, bytes.len()) {
            self.memory.complain(format!(
                "letterbox {} brought message {port:?}, or other bytes than its own",
                self.name
            ));
        }
    }

    /// Whether a receive may begin; what was received for nobody comes first.
    fn begin_receive(&self) -> bool {
        if self.receiving.get() || self.strays.is_busy() {
            return false;
        }
        while let Some(stray) = self.strays.take() {
            if let Ok(datagram) = stray {
                self.received(&datagram, &datagram.meta);
            }
        }
        self.receiving.set(true);
        true
    }

    pub(super) fn receive(self: &Rc<Self>, bytes: usize) -> Option<Task<()>> {
        let post = Rc::clone(self);
        post.begin_receive().then(|| {
            Task::new("receive of a message", |stop| async move {
                let _end = IfDropped::new(|| post.receiving.set(false));
                let buf = Watched::new(&post.memory, bytes);
                let control = if bytes.is_multiple_of(5) {
                    0
                } else {
                    CONTROL_BYTES
                };
                let receive = RecvMsg::new(&post.socket, buf, control, &post.strays);
                let op = Op::new(post.socket.driver(), receive);
                if let Ok(((_, meta), buf)) = finish(op, stop).await {
                    post.received(buf.as_init(), &meta);
                }
            })
        })
    }

    pub(super) fn receive_many(self: &Rc<Self>) -> Option<Task<()>> {
        let post = Rc::clone(self);
        post.begin_receive().then(|| {
            Task::new("multishot receive of messages", |stop| async move {
                let _end = IfDropped::new(|| post.receiving.set(false));
                let gap = IfDropped::new(|| post.gap.set(true));
                let receive = RecvMsgMulti::new(&post.socket, CONTROL_BYTES);
                let mut multi = Multi::new(post.socket.driver(), receive);
                loop {
                    let item = next(&mut multi, &stop).await;
                    let ended = item.is_err();
                    if let Ok(datagram) = item.unwrap_or_else(|last| last) {
                        post.received(&datagram, &datagram.meta);
                    }
                    if ended {
                        break;
                    }
                }
                gap.finish();
            })
        })
    }

    /// A message of two parts, to an address and with a descriptor.
    pub(super) fn send(self: &Rc<Self>, bytes: usize) -> Option<Task<()>> {
        let post = Rc::clone(self);
        (!post.sending.replace(true)).then(|| {
            Task::new("send of a message", |stop| async move {
                let _end = IfDropped::new(|| post.sending.set(false));
                let unknown = IfDropped::new(|| post.sent_unknown.set(true));
                let bytes = letter_at(post.name, 7, bytes);
                let (head, rest) = bytes.split_at(bytes.len() / 2);
                let parts = [head, rest].map(|part| Watched::of(&post.memory, part));
                let (near, _far) = UnixStream::pair().expect("a pair");
                let attach = Attach {
                    to: Some(SockAddr::unix("/nowhere/in/particular").expect("short")),
                    fds: vec![OwnedFd::from(near)],
                    ..Attach::default()
                };
                let send = SendMsg::new(&post.socket, parts, attach).expect("a message");
                if let Ok((sent, parts)) = finish(Op::new(post.socket.driver(), send), stop).await {
                    let kept = parts.map(|part| part.as_init().to_vec()).concat();
                    if sent != bytes.len() || kept != bytes {
                        post.memory
                            .complain("a message was sent in part".to_owned());
                    }
                    post.sent.borrow_mut().push(bytes);
                }
                unknown.finish();
            })
        })
    }

    /// What was sent is what the peers got, and every descriptor that came was closed.
    pub(super) fn check(&self, rig: &Rig) {
        while self.strays.take().is_some() {}
        let number = fd(&*self.socket);
        let sure = !self.sent_unknown.get() && !self.sending.get();
        if sure && rig.world.posted(number) != *self.sent.borrow() {
            self.memory.complain("messages sent were lost".to_owned());
        }
        if let (passed, open @ 1..) = rig.world.passed(number) {
            let text = format!("of {passed} descriptors passed {open} were never closed");
            self.memory.complain(text);
        }
    }
}
