//! The simulated kernel's own state: its queues, the requests in flight, time and chance.
//!
//! Time moves only inside `enter`: a little with each call, and in a sleep straight to the next
//! completion or the deadline. A request that may complete (its source is ready, its delay is over)
//! does so in an order drawn by lot. A sleep that nothing would ever end is a breach of the
//! driver's promises, and is noted.

mod messages;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use super::buffers::{self, Buffers};
use super::entry::{self, Range, Request, Target};
use super::faults::{CancelAnswer, Faults, Script};
use super::memory::Memory;
use super::random::Random;
use super::sources::{Identity, Source, bytes_at, eventfd_count, identity};
use crate::driver::Sqe;
use crate::driver::uring::{Cqe, TAG_SHIFT, Tag};

/// `IORING_CQE_F_BUFFER` with the shift of the buffer's id, and `IORING_CQE_F_MORE`.
const F_BUFFER: u32 = 1;
const F_MORE: u32 = 1 << 1;
/// `IORING_CQE_F_NOTIF`, and `IORING_NOTIF_USAGE_ZC_COPIED` as a result.
const F_NOTIF: u32 = 1 << 3;
const COPIED: i32 = i32::MIN;
const BUFFER_SHIFT: u32 = 16;

/// What an `enter` takes.
const ENTER_NS: u64 = 1000;

/// How a request that was cancelled will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With `ECANCELED`.
    Canceled,
    /// The cancel came too late: it succeeds once more if it can, and ends.
    Late,
}

/// A request in flight.
#[derive(Debug)]
struct Op {
    /// Counts the entries taken; unlike names, no two are the same.
    serial: u64,
    user_data: u64,
    request: Request,
    identity: Option<Identity>,
    due_ns: u64,
    ending: Option<Ending>,
    /// What a poll's eventfd counts beyond what the poll has told, and what it has told.
    count: u64,
    heard: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) ring: RawFd,
    pub(super) random: Random,
    pub(super) faults: Faults,
    pub(super) script: Script,
    pub(super) memory: Rc<Memory>,
    pub(super) sources: HashMap<RawFd, Source>,
    pub(super) buffers: Option<Buffers>,
    pub(super) enters: u64,
    sq_entries: usize,
    cq_entries: usize,
    time_ns: u64,
    sq: VecDeque<(u64, Request, Option<Identity>)>,
    cq: VecDeque<Cqe>,
    overflow: VecDeque<Cqe>,
    told_of_overflow: bool,
    ops: Vec<Op>,
    serial: u64,
    /// Names of operations ever queued.
    seen: HashSet<u64>,
}

fn is_operation(user_data: u64) -> bool {
    user_data >> TAG_SHIFT == Tag::Op as u64
}

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Machine {
    pub(super) fn new(seed: u64, sq_entries: usize, cq_entries: usize, faults: Faults) -> Self {
        Self {
            // Far above any descriptor, and the same for the same seed.
            ring: 1_000_000 + RawFd::try_from(seed % 1_000_000).expect("a small number"),
            random: Random::new(seed),
            faults,
            script: Script::default(),
            memory: Rc::default(),
            sources: HashMap::new(),
            buffers: None,
            enters: 0,
            sq_entries,
            cq_entries,
            time_ns: 0,
            sq: VecDeque::new(),
            cq: VecDeque::new(),
            overflow: VecDeque::new(),
            told_of_overflow: false,
            ops: Vec::new(),
            serial: 0,
            seen: HashSet::new(),
        }
    }

    /// Operations queued or in flight, or whose completion has not been reaped.
    pub(super) fn operations(&self) -> usize {
        let ops = self.ops.iter().map(|op| op.user_data);
        let queued = self.sq.iter().map(|(user_data, ..)| *user_data);
        let posted = self
            .cq
            .iter()
            .chain(&self.overflow)
            .map(|cqe| cqe.user_data);
        ops.chain(queued)
            .chain(posted)
            .filter(|user_data| is_operation(*user_data))
            .count()
    }

    /// Operations that the kernel has taken and not completed.
    pub(super) fn taken(&self) -> usize {
        let ops = self.ops.iter();
        ops.filter(|op| is_operation(op.user_data)).count()
    }

    pub(super) fn queued(&self) -> usize {
        self.sq.len()
    }

    pub(super) fn push(&mut self, sqe: &Sqe) -> bool {
        if self.sq.len() >= self.sq_entries {
            return false;
        }
        let (user_data, request, ranges) = entry::read(sqe);
        if is_operation(user_data) && !self.seen.insert(user_data) {
            self.complain(format!("the name {user_data:#x} was used twice"));
        }
        let buffers = match request {
            Request::Connect { .. } | Request::RecvMsgMulti { .. } => 0,
            Request::SendMsg { parts, .. } => parts,
            _ => 1,
        };
        for (place, range) in ranges.into_iter().enumerate() {
            self.memory.lend(user_data, range, place < buffers);
        }
        let identity = request.fd().and_then(identity);
        if request.fd().is_some() && identity.is_none() {
            self.complain(format!("request {user_data:#x} names a closed descriptor"));
        }
        self.sq.push_back((user_data, request, identity));
        if self.script.posts_eagerly {
            self.time_ns += ENTER_NS / 10;
            self.run();
        }
        true
    }

    fn complain(&self, text: String) {
        self.memory.complain(text);
    }

    /// `io_uring_enter` with `IORING_ENTER_GETEVENTS`, of all that is queued.
    pub(super) fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.enters += 1;
        self.time_ns += ENTER_NS;
        if let Some(errno) = self.refuses() {
            return Err(error(errno));
        }
        let offered = self.sq.len();
        let taken = self.takes(offered);
        for _ in 0..taken {
            self.take();
        }
        self.look_at_polls(want > 0);
        self.run();
        self.flush();
        if self.loses() {
            return Err(error(libc::EBADR));
        }
        if want == 0 || taken < offered {
            return Ok(());
        }
        // The kernel answers how many it took rather than why it stopped waiting.
        self.wait(timeout).or_else(|errno| match taken {
            0 => Err(error(errno)),
            _ if errno == libc::EDEADLK => Err(error(errno)),
            _ => Ok(()),
        })
    }

    /// An error before anything is taken.
    fn refuses(&mut self) -> Option<i32> {
        if let Some(errno) = self.script.enter_errors.pop_front() {
            return Some(errno);
        }
        let crowded = !self.overflow.is_empty() && self.faults.enter > 0;
        if crowded && !self.sq.is_empty() && self.random.chance(500) {
            // Older kernels take nothing more while completions wait for room; they do flush.
            self.flush();
            return Some(libc::EBUSY);
        }
        let refused = self.random.chance(self.faults.enter);
        refused.then(|| {
            let errors = [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM];
            self.random.pick(&errors)
        })
    }

    fn takes(&mut self, offered: usize) -> usize {
        if let Some(most) = self.script.takes.take() {
            return offered.min(most);
        }
        if offered > 0 && self.random.chance(self.faults.short_submit) {
            return self.random.index(offered);
        }
        offered
    }

    fn loses(&mut self) -> bool {
        let operation = |cqe: &Cqe| is_operation(cqe.user_data);
        if self.script.loses_completion
            && let Some(place) = self.cq.iter().position(operation)
        {
            self.cq.remove(place);
            self.script.loses_completion = false;
            return true;
        }
        false
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), i32> {
        let timeout_ns = timeout.map(|t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        let deadline = timeout_ns.map(|ns| self.time_ns.saturating_add(ns));
        while self.cq.is_empty() {
            if self.random.chance(self.faults.enter) {
                return Err(libc::EINTR);
            }
            let next = (0..self.ops.len())
                .filter(|place| self.may_complete(&self.ops[*place]))
                .map(|place| self.ops[place].due_ns.max(self.time_ns))
                .min();
            match (next, deadline) {
                (Some(next), None) => self.time_ns = next,
                (Some(next), Some(deadline)) if next <= deadline => self.time_ns = next,
                (_, Some(deadline)) => {
                    self.time_ns = deadline;
                    return Err(libc::ETIME);
                }
                (None, None) => {
                    self.complain("a sleep that nothing would end".to_owned());
                    return Err(libc::EDEADLK);
                }
            }
            self.run();
            self.flush();
        }
        Ok(())
    }

    /// Takes one entry off the queue.
    fn take(&mut self) {
        let (user_data, request, identity) = self.sq.pop_front().expect("counted before");
        self.memory.take(user_data);
        let armed = user_data == Tag::Bell.data(0);
        if armed && self.ops.iter().any(|op| op.user_data == user_data) {
            self.complain("the bell was armed twice".to_owned());
        }
        self.serial += 1;
        let mut op = Op {
            serial: self.serial,
            user_data,
            request,
            identity,
            due_ns: self.time_ns,
            ending: None,
            count: 0,
            heard: 0,
        };
        match request {
            Request::Cancel { target, all } => {
                op.request = Request::Answer(self.cancel(target, all));
            }
            Request::Message {
                ring,
                result,
                user_data,
            } => op.request = Request::Answer(self.send(ring, result, user_data)),
            _ => {}
        }
        let inline = self.random.chance(self.faults.inline);
        if !inline {
            op.due_ns += self.delay();
        }
        self.ops.push(op);
        if inline {
            let last = self.ops.len() - 1;
            if self.may_complete(&self.ops[last]) {
                self.fire(last);
            }
        }
    }

    fn delay(&mut self) -> u64 {
        self.random.below(self.faults.delay_ns + 1)
    }

    fn send(&mut self, ring: RawFd, result: i32, user_data: u64) -> i32 {
        if let Some(errno) = self.script.refuses_messages {
            return -errno;
        }
        let cqe = Cqe {
            user_data,
            result,
            flags: 0,
        };
        if ring == self.ring {
            self.post(cqe);
            return 0;
        }
        super::post_to(ring, cqe)
    }

    fn cancel(&mut self, target: Target, all: bool) -> i32 {
        let mut found = 0;
        let mut answer = -libc::ENOENT;
        for place in 0..self.ops.len() {
            let op = &self.ops[place];
            let hit = match target {
                Target::UserData(user_data) => op.user_data == user_data,
                Target::Fd(fd) => op.request.fd() == Some(fd),
                Target::Any => true,
            };
            // A request whose notification alone is missing is over, as far as a cancel goes.
            if !hit || matches!(op.request, Request::Answer(_) | Request::Notify { .. }) {
                continue;
            }
            found += 1;
            answer = self.cancel_one(place);
            if !all {
                return answer;
            }
        }
        if found > 0 && all { found } else { answer }
    }

    fn cancel_one(&mut self, place: usize) -> i32 {
        let stuck = self.is_stuck(&self.ops[place]);
        let late = self.random.chance(self.faults.late_cancel);
        let answer = match self.script.cancel_answers.pop_front() {
            Some(answer) => answer,
            None if stuck => CancelAnswer::Already,
            None if late && self.random.chance(500) => CancelAnswer::NotFound,
            None if late => CancelAnswer::Already,
            None => CancelAnswer::Canceled,
        };
        let delay = self.delay();
        let op = &mut self.ops[place];
        op.due_ns = self.time_ns + delay;
        let (ending, answer) = match answer {
            CancelAnswer::Canceled => (Ending::Canceled, 0),
            CancelAnswer::Already => (Ending::Late, -libc::EALREADY),
            CancelAnswer::NotFound => (Ending::Late, -libc::ENOENT),
        };
        op.ending.get_or_insert(ending);
        answer
    }

    fn is_stuck(&self, op: &Op) -> bool {
        op.request
            .fd()
            .is_some_and(|fd| self.script.stuck.contains(&fd))
    }

    fn may_complete(&self, op: &Op) -> bool {
        !self.is_stuck(op) && (op.ending.is_some() || self.has_work(op))
    }

    /// Whether the source has what the request waits for.
    fn has_work(&self, op: &Op) -> bool {
        let source = op.request.fd().and_then(|fd| self.sources.get(&fd));
        match (op.request, source) {
            (
                Request::Recv { .. } | Request::RecvMulti { .. } | Request::Poll { .. },
                Some(Source::Stream(stream)),
            ) => stream.waiting() > 0 || stream.ended || stream.reset,
            (Request::Accept { .. } | Request::Poll { .. }, Some(Source::Listener(listener))) => {
                listener.queued > 0
            }
            (
                Request::RecvMsg { .. } | Request::RecvMsgMulti { .. },
                Some(Source::Letterbox(letterbox)),
            ) => !letterbox.arrived.is_empty(),
            (Request::Poll { .. }, None) => op.count > 0,
            (Request::Notify { .. }, _) => !self.script.holds_notifications,
            _ => true,
        }
    }

    /// A poll of a descriptor that stands for nothing here is a bell's and asks the eventfd.
    fn look_at_polls(&mut self, sleeps: bool) {
        if !sleeps && !self.random.chance(100) {
            return;
        }
        let sources = &self.sources;
        for op in &mut self.ops {
            if let Request::Poll { fd, .. } = op.request
                && !sources.contains_key(&fd)
            {
                op.count = eventfd_count(fd).saturating_sub(op.heard);
            }
        }
    }

    /// Completes what may and is due, in an order drawn by lot.
    fn run(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.look();
        }
        let due =
            |machine: &Self, op: &Op| op.due_ns <= machine.time_ns && machine.may_complete(op);
        let ready = self.ops.iter().filter(|op| due(self, op));
        let mut serials: Vec<u64> = ready.map(|op| op.serial).collect();
        while !serials.is_empty() {
            let serial = serials.swap_remove(self.random.index(serials.len()));
            let place = self.ops.iter().position(|op| op.serial == serial);
            if let Some(place) = place
                && due(self, &self.ops[place])
            {
                self.fire(place);
            }
        }
    }

    /// Completes a request, or does one shot of it.
    fn fire(&mut self, place: usize) {
        let op = &self.ops[place];
        let request = op.request;
        if let Some(fd) = request.fd()
            && identity(fd) != op.identity
        {
            self.complain(format!(
                "the descriptor of request {:#x} was closed while it was in flight",
                op.user_data
            ));
        }
        if let Request::Splice { to, to_file, .. } = request
            && identity(to) != to_file
        {
            self.complain(format!("the pipe {to} was closed while it was filled"));
        }
        match self.ops[place].ending {
            Some(Ending::Canceled) => return self.finish(place, -libc::ECANCELED, 0, &[]),
            Some(Ending::Late) if !self.has_work(&self.ops[place]) => {
                let errno = self.random.pick(&[libc::ECANCELED, libc::EINTR]);
                return self.finish(place, -errno, 0, &[]);
            }
            _ => {}
        }
        if let Request::Answer(result) = request {
            return self.finish(place, result, 0, &[]);
        }
        if let Request::Notify { .. } = request {
            let copied = self.script.copies || self.random.chance(300);
            return self.finish(place, if copied { COPIED } else { 0 }, F_NOTIF, &[]);
        }
        if is_operation(op.user_data) && self.random.chance(self.faults.op_error) {
            let errno = self
                .random
                .pick(&[libc::EINTR, libc::EAGAIN, libc::EIO, libc::ENOMEM]);
            return self.finish(place, -errno, 0, &[]);
        }
        match request {
            Request::Accept { multi, .. } => self.accept(place, multi),
            Request::RecvMulti { .. } => self.receive_provided(place),
            Request::RecvMsg { fd, peek, room } => self.receive_message(place, fd, peek, room),
            Request::RecvMsgMulti { fd, room, .. } => self.receive_many(place, fd, room),
            Request::Splice { offset, len, .. } => self.splice(place, offset, len),
            Request::Recv { into, .. } => self.receive(place, into.len),
            Request::Send { .. } | Request::SendMsg { .. } => {
                self.look_at_passed(place);
                let result = self.transmit(place);
                self.finish(place, result, 0, &[]);
            }
            Request::SendZc { fd, from } => self.transmit_from_where_it_is(place, fd, from),
            Request::Read { into, offset, .. } => self.read(place, into.len, offset),
            Request::Write { from, .. } => {
                let len = self.length(from.len);
                self.finish(place, number(len), 0, &[]);
            }
            Request::Poll { events, multi, .. } => self.poll(place, events, multi),
            Request::Connect { .. } if self.random.chance(self.faults.reset) => {
                self.finish(place, -libc::ECONNREFUSED, 0, &[]);
            }
            _ => self.finish(place, 0, 0, &[]),
        }
    }

    /// All of it, or by lot a part.
    fn length(&mut self, len: usize) -> usize {
        if len > 1 && self.random.chance(self.faults.short_io) {
            1 + self.random.index(len - 1)
        } else {
            len
        }
    }

    fn poll(&mut self, place: usize, events: u32, multi: bool) {
        let events = events.cast_signed();
        let op = &mut self.ops[place];
        // The first answer tells the level, those after it the edges.
        op.heard += std::mem::take(&mut op.count);
        if multi && op.ending.is_none() && !self.ends_multishot() {
            self.more(place, events, 0);
        } else {
            self.finish(place, events, 0, &[]);
        }
    }

    fn ends_multishot(&mut self) -> bool {
        match &mut self.script.shots {
            Some(0) => {
                self.script.shots = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => self.random.chance(self.faults.end_multishot),
        }
    }

    fn accept(&mut self, place: usize, multi: bool) {
        let fd = self.ops[place].request.fd();
        let Some(Source::Listener(listener)) = fd.and_then(|fd| self.sources.get_mut(&fd)) else {
            return self.finish(place, -libc::EINVAL, 0, &[]);
        };
        let near = listener.accept();
        if multi && self.ops[place].ending.is_none() && !self.ends_multishot() {
            self.more(place, near, 0);
        } else {
            self.finish(place, near, 0, &[]);
        }
    }

    fn receive(&mut self, place: usize, len: usize) {
        let fd = self.ops[place].request.fd();
        let len = self.length(len);
        let Some(Source::Stream(stream)) = fd.and_then(|fd| self.sources.get_mut(&fd)) else {
            return self.finish(place, -libc::ENOTSOCK, 0, &[]);
        };
        if stream.waiting() == 0 && stream.reset {
            return self.finish(place, -libc::ECONNRESET, 0, &[]);
        }
        let bytes = stream.receive(len.min(stream.waiting()));
        self.finish(place, number(bytes.len()), 0, &bytes);
    }

    fn receive_provided(&mut self, place: usize) {
        let fd = self.ops[place].request.fd();
        let dry = self.random.chance(self.faults.no_buffers);
        let buffer = match &mut self.buffers {
            Some(buffers) if !dry => buffers.take(),
            _ => None,
        };
        let Some(buffer) = buffer else {
            return self.finish(place, -libc::ENOBUFS, 0, &[]);
        };
        let len = self.length(buffer.len);
        let Some(Source::Stream(stream)) = fd.and_then(|fd| self.sources.get_mut(&fd)) else {
            return self.finish(place, -libc::ENOTSOCK, 0, &[]);
        };
        let bytes = stream.receive(len.min(stream.waiting()));
        let named = F_BUFFER | (u32::from(buffer.id) << BUFFER_SHIFT);
        if bytes.is_empty() {
            let reset = stream.reset;
            // Whether the end of a stream names a buffer differs by kernel.
            let flags = if self.random.chance(500) {
                named
            } else {
                self.buffers.as_mut().expect("one was taken").untake(buffer);
                0
            };
            let result = if reset { -libc::ECONNRESET } else { 0 };
            return self.finish(place, result, flags, &[]);
        }
        buffers::write(buffer, &bytes);
        if self.ops[place].ending.is_some() || self.ends_multishot() {
            self.finish(place, number(bytes.len()), named, &[]);
        } else {
            self.more(place, number(bytes.len()), named);
        }
    }

    fn transmit(&mut self, place: usize) -> i32 {
        let Op {
            user_data, request, ..
        } = self.ops[place];
        let parts = match request {
            Request::SendMsg { parts, .. } => parts,
            _ => 1,
        };
        let parts = (0..parts).map(|place| self.memory.read(user_data, place));
        let Some(bytes) = parts.collect::<Option<Vec<_>>>() else {
            return -libc::EFAULT;
        };
        let bytes = bytes.concat();
        let len = self.length(bytes.len());
        let broken = self.random.chance(self.faults.reset);
        let source = request.fd().and_then(|fd| self.sources.get_mut(&fd));
        match source {
            Some(Source::Stream(stream)) if stream.reset || broken => {
                stream.reset = true;
                -libc::ECONNRESET
            }
            Some(Source::Stream(stream)) => {
                stream.sent.extend(&bytes[..len]);
                number(len)
            }
            // A message is sent whole.
            Some(Source::Letterbox(letterbox)) => {
                let len = bytes.len();
                letterbox.sent.push(bytes);
                number(len)
            }
            _ => -libc::ENOTSOCK,
        }
    }

    /// The first completion of a zero-copy send. The notification follows in its own time, and its
    /// memory is lent until then; what fails may announce none.
    fn transmit_from_where_it_is(&mut self, place: usize, fd: RawFd, from: Range) {
        let result = self.transmit(place);
        let announced = match self.script.announces_failures {
            _ if result >= 0 => true,
            Some(announced) => announced,
            None => self.random.chance(500),
        };
        if !announced {
            return self.finish(place, result, 0, &[]);
        }
        let delay = self.delay();
        let op = &mut self.ops[place];
        op.request = Request::Notify { fd, from };
        op.due_ns = self.time_ns + delay;
        op.ending = None;
        let user_data = op.user_data;
        self.post(Cqe {
            user_data,
            result,
            flags: F_MORE,
        });
    }

    fn read(&mut self, place: usize, len: usize, offset: u64) {
        let fd = self.ops[place].request.fd();
        let len = self.length(len);
        let Some(&Source::File { name, len: end }) = fd.and_then(|fd| self.sources.get(&fd)) else {
            return self.finish(place, -libc::EBADF, 0, &[]);
        };
        let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = bytes_at(name, offset, len.min(left));
        self.finish(place, number(bytes.len()), 0, &bytes);
    }

    /// The last completion of a request.
    fn finish(&mut self, place: usize, result: i32, flags: u32, answer: &[u8]) {
        self.finish_all(place, result, flags, &[answer]);
    }

    /// The same, with an answer for each of its ranges.
    fn finish_all(&mut self, place: usize, result: i32, flags: u32, answers: &[&[u8]]) {
        let op = self.ops.swap_remove(place);
        self.memory.give_back(op.user_data, answers);
        self.post(Cqe {
            user_data: op.user_data,
            result,
            flags,
        });
    }

    /// A completion that others follow; the last one after all where the queue has no room.
    fn more(&mut self, place: usize, result: i32, flags: u32) {
        if self.cq.len() >= self.cq_entries || !self.overflow.is_empty() {
            return self.finish(place, result, flags, &[]);
        }
        let delay = self.delay();
        let op = &mut self.ops[place];
        op.due_ns = self.time_ns + delay;
        let user_data = op.user_data;
        self.post(Cqe {
            user_data,
            result,
            flags: flags | F_MORE,
        });
    }

    pub(super) fn post(&mut self, cqe: Cqe) {
        if self.cq.len() < self.cq_entries && self.overflow.is_empty() {
            self.cq.push_back(cqe);
        } else {
            self.overflow.push_back(cqe);
        }
    }

    fn flush(&mut self) {
        while self.cq.len() < self.cq_entries
            && let Some(cqe) = self.overflow.pop_front()
        {
            self.cq.push_back(cqe);
        }
    }

    pub(super) fn completions(&self) -> u32 {
        u32::try_from(self.cq.len()).expect("a queue's length fits in 32 bits")
    }

    pub(super) fn is_flagged(&self) -> bool {
        let due = |op: &Op| op.due_ns <= self.time_ns && self.may_complete(op);
        !self.overflow.is_empty() || self.ops.iter().any(due)
    }

    pub(super) fn take_overflow(&mut self) -> bool {
        let now = !self.overflow.is_empty();
        let rose = now && !self.told_of_overflow;
        self.told_of_overflow = now;
        rose
    }

    pub(super) fn reap(&mut self) -> VecDeque<Cqe> {
        std::mem::take(&mut self.cq)
    }

    /// Requests of a group that are in flight.
    pub(super) fn in_group(&self, wanted: u16) -> usize {
        let in_group = |op: &&Op| match op.request {
            Request::RecvMulti { group, .. } | Request::RecvMsgMulti { group, .. } => {
                group == wanted
            }
            _ => false,
        };
        self.ops.iter().filter(in_group).count()
    }
}

fn number(len: usize) -> i32 {
    i32::try_from(len).expect("requests are short here")
}
