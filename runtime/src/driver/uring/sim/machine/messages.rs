//! What the simulated kernel does with messages and with pipes.
//!
//! A message brings a name and perhaps a descriptor. A one-shot receive writes them where its header
//! says and then says in the header how much that was; a multishot one writes four numbers, both and
//! the bytes into a provided buffer.

use std::os::fd::RawFd;

use super::super::buffers;
use super::super::entry::{Request, Room};
use super::super::sources::{Source, identity};
use super::{BUFFER_SHIFT, Buffers, F_BUFFER, Machine, number};

/// `struct io_uring_recvmsg_out`.
const OUT_BYTES: usize = 16;

impl Machine {
    /// Descriptors that go with a message are open until it is sent.
    pub(super) fn look_at_passed(&self, place: usize) {
        let op = &self.ops[place];
        let Request::SendMsg { parts, .. } = op.request else {
            return;
        };
        // After the parts come the header, the list and the name.
        let control = self
            .memory
            .read(op.user_data, parts + 3)
            .unwrap_or_default();
        let fds = control.get(16..20).and_then(|fd| fd.try_into().ok());
        if let Some(fd) = fds.map(RawFd::from_ne_bytes)
            && identity(fd).is_none()
        {
            self.complain(format!("descriptor {fd} was closed before it was sent"));
        }
    }

    pub(super) fn receive_message(&mut self, place: usize, fd: RawFd, peek: bool, room: Room) {
        let Some(Source::Letterbox(letterbox)) = self.sources.get_mut(&fd) else {
            return self.finish(place, -libc::ENOTSOCK, 0, &[]);
        };
        let letter = letterbox.receive(room.bytes, room, peek);
        let user_data = self.ops[place].user_data;
        let Some(mut header) = self.memory.read(user_data, 3) else {
            return self.finish(place, -libc::EFAULT, 0, &[]);
        };
        let mut write =
            |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        let named = u32::try_from(letter.name.len()).expect("a short name");
        write(
            std::mem::offset_of!(libc::msghdr, msg_namelen),
            &named.to_ne_bytes(),
        );
        let controlled = letter.control.len().to_ne_bytes();
        write(
            std::mem::offset_of!(libc::msghdr, msg_controllen),
            &controlled,
        );
        let flags = letter.flags.to_ne_bytes();
        write(std::mem::offset_of!(libc::msghdr, msg_flags), &flags);
        let answers: [&[u8]; 4] = [&letter.bytes, &letter.name, &letter.control, &header];
        self.finish_all(place, number(letter.bytes.len()), 0, &answers);
    }

    pub(super) fn receive_many(&mut self, place: usize, fd: RawFd, room: Room) {
        let dry = self.random.chance(self.faults.no_buffers);
        let buffer = self
            .buffers
            .as_mut()
            .filter(|_| !dry)
            .and_then(Buffers::take);
        let Some(buffer) = buffer else {
            return self.finish(place, -libc::ENOBUFS, 0, &[]);
        };
        let start = OUT_BYTES + room.name + room.control;
        let Some(Source::Letterbox(letterbox)) = self.sources.get_mut(&fd) else {
            return self.finish(place, -libc::ENOTSOCK, 0, &[]);
        };
        let letter = letterbox.receive(buffer.len - start, room, false);
        let mut bytes = Vec::new();
        let lens = [&letter.name, &letter.control, &letter.bytes].map(Vec::len);
        for len in lens.map(number).into_iter().chain([letter.flags]) {
            bytes.extend(len.to_ne_bytes());
        }
        bytes.extend(letter.name);
        bytes.resize(OUT_BYTES + room.name, 0);
        bytes.extend(letter.control);
        bytes.resize(start, 0);
        bytes.extend(letter.bytes);
        buffers::write(buffer, &bytes);
        let named = F_BUFFER | (u32::from(buffer.id) << BUFFER_SHIFT);
        if self.ops[place].ending.is_some() || self.ends_multishot() {
            self.finish(place, number(bytes.len()), named, &[]);
        } else {
            self.more(place, number(bytes.len()), named);
        }
    }

    /// The bytes themselves go nowhere: who asked is told how many.
    pub(super) fn splice(&mut self, place: usize, offset: u64, len: usize) {
        let fd = self.ops[place].request.fd();
        let Some(&Source::File { len: end, .. }) = fd.and_then(|fd| self.sources.get(&fd)) else {
            return self.finish(place, -libc::EBADF, 0, &[]);
        };
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let moved = self.length(len.min(left));
        self.finish(place, number(moved), 0, &[]);
    }
}
