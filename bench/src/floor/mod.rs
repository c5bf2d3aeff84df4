//! The floors: hand-written loops that do the same work with nothing in between.
//!
//! A floor has no tasks, no wakers and no timers, so a runtime cannot meet it in full; the ratio to
//! it is what the runtime costs. Each floor uses the kernel as well as is known, and is
//! single-minded: what a program would need beyond the case is left out.
//!
//! These are the only modules of the crate with unsafe code, so that [`cursor`] is here too, which
//! is no floor. What is shared by several loops is wrapped in [`ring`] and [`sockets`], so that the
//! loops over sockets themselves are safe code.

use std::io;
use std::net::TcpListener;

use crate::case::{Blocking, Contender, Echo, FileJob, PingPong, Work};
use crate::child::Control;
use crate::machine;
use crate::recorder::{Figures, Recorder};
use crate::turns::Turns;

pub mod blocking;
pub mod cursor;
pub mod echo_epoll;
pub mod echo_uring;
pub mod file_read;
pub mod nop;
pub mod ping_pong;
pub mod ring;
pub mod sockets;

/// The io_uring floor, which every ratio refers to.
#[derive(Debug)]
pub struct Uring;

impl Contender for Uring {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn offers(&self, work: &Work) -> bool {
        match work {
            Work::Echo(_) | Work::FileRead(_) | Work::PingPong(_) | Work::Blocking(_) => true,
            Work::Http(_)
            | Work::Idle(_)
            | Work::WriteBack(_)
            | Work::Timers(_)
            | Work::Spawn(_)
            | Work::Yield(_)
            | Work::Sleep(_)
            | Work::Memory(_)
            | Work::Channel(_) => false,
        }
    }

    fn serve_echo(&self, echo: &Echo, listener: TcpListener, control: &Control) -> io::Result<()> {
        echo_uring::serve(echo, &listener, control)
    }

    fn file_reads(&self, job: &FileJob<'_>, recorder: Recorder) -> io::Result<Figures> {
        file_read::through_ring(job, recorder)
    }

    fn ping_pong(
        &self,
        case: &PingPong,
        other_cpu: usize,
        recorder: Recorder,
    ) -> io::Result<Figures> {
        if case.spinning {
            ping_pong::in_memory(other_cpu, recorder)
        } else {
            ping_pong::message_rings(other_cpu, recorder)
        }
    }

    fn blocking(&self, case: &Blocking, recorder: Recorder) -> io::Result<Figures> {
        blocking::two_threads(case, recorder)
    }
}

/// The readiness floor of the echo cases.
#[derive(Debug)]
pub struct Epoll;

impl Contender for Epoll {
    fn name(&self) -> &'static str {
        "floor-epoll"
    }

    fn offers(&self, work: &Work) -> bool {
        matches!(work, Work::Echo(_))
    }

    fn serve_echo(&self, _: &Echo, listener: TcpListener, control: &Control) -> io::Result<()> {
        echo_epoll::serve(&listener, control)
    }
}

/// A plain system call per block: what a hot read, or a write that the page cache takes, costs
/// without a ring and without sparing anybody the wait.
#[derive(Debug)]
pub struct Pread;

impl Contender for Pread {
    fn name(&self) -> &'static str {
        "floor-pread"
    }

    fn offers(&self, work: &Work) -> bool {
        match work {
            Work::FileRead(file) => file.depth == 1 || file.overwrite,
            Work::WriteBack(_) => true,
            _ => false,
        }
    }

    fn file_reads(&self, job: &FileJob<'_>, recorder: Recorder) -> io::Result<Figures> {
        file_read::one_by_one(job, recorder, || ())
    }

    fn write_back(
        &self,
        job: &FileJob<'_>,
        cpu: usize,
        recorder: Recorder,
        mut turns: Turns,
    ) -> io::Result<Figures> {
        machine::pin_to(cpu);
        let mut figures = file_read::one_by_one(job, recorder, || turns.turn())?;
        turns.tell(&mut figures);
        Ok(figures)
    }
}
