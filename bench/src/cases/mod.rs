//! The list of cases, and how a child measures those that measure themselves.
//!
//! The list depends on few settings and nothing else, so parent and child build the same one.

use std::io;

use crate::case::{Case, Contender, Work};
use crate::child::Task;
use crate::machine;
use crate::recorder::{Figures, Recorder};

pub mod blocking;
pub mod channel;
pub mod echo;
pub mod file_read;
pub mod http;
pub mod memory;
pub mod ping_pong;
pub mod server;
pub mod sleep;
pub mod spawn;
pub mod timers;
pub mod write_back;
pub mod yield_;

/// What the list of cases depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Keep every case short.
    pub quick: bool,
    /// Requests per second of the open-loop case.
    pub rate: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quick: false,
            rate: 40_000,
        }
    }
}

/// Every case, in the order they run.
#[must_use]
pub fn all(settings: &Settings) -> Vec<Case> {
    [
        echo::cases(settings),
        http::cases(),
        file_read::cases(),
        write_back::cases(),
        timers::cases(settings),
        sleep::cases(),
        spawn::cases(),
        yield_::cases(),
        channel::cases(),
        ping_pong::cases(),
        blocking::cases(),
        memory::cases(),
    ]
    .concat()
}

/// The case of a name.
#[must_use]
pub fn find(name: &str, settings: &Settings) -> Option<Case> {
    all(settings).into_iter().find(|case| case.name == name)
}

/// Measures work that measures itself; runs in the child.
///
/// # Errors
///
/// Whatever keeps the contender from doing the work.
pub fn measure(work: &Work, contender: &dyn Contender, task: &Task) -> io::Result<Figures> {
    let recorder = || Recorder::new(task.slice);
    match work {
        Work::Echo(_) | Work::Http(_) | Work::Idle(_) => {
            Err(io::Error::other("servers are measured from outside"))
        }
        Work::FileRead(read) => file_read::measure(read, contender, task),
        Work::WriteBack(case) => write_back::measure(case, contender, task),
        Work::Timers(timers) => contender.timers(timers, Recorder::without_warm_up()),
        Work::Spawn(spawn) => contender.spawn(spawn, recorder()),
        Work::Yield(yields) => contender.yields(yields, recorder()),
        Work::Channel(channel) => contender.channel(channel, recorder()),
        Work::Sleep(sleep) => contender.sleeps(sleep, recorder()),
        Work::PingPong(trips) => contender.ping_pong(trips, task.client_cpu, recorder()),
        Work::Blocking(blocking) => {
            machine::unpin()?;
            contender.blocking(blocking, recorder())
        }
        Work::Memory(memory) => contender.memory(memory, Recorder::without_warm_up()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Settings, all, find};

    #[test]
    fn names_are_unique_and_begin_with_their_family() {
        let cases = all(&Settings::default());
        let names: HashSet<_> = cases.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            let family = case.work.family().name;
            assert_eq!(case.name.split('/').next(), Some(family));
        }
    }

    #[test]
    fn quick_has_the_same_cases_as_a_full_run() {
        let names = |quick| -> Vec<String> {
            let settings = Settings {
                quick,
                ..Settings::default()
            };
            all(&settings).into_iter().map(|case| case.name).collect()
        };
        assert_eq!(names(true), names(false));
    }

    #[test]
    fn a_case_is_found_by_its_name() {
        let settings = Settings::default();
        for case in all(&settings) {
            assert_eq!(find(&case.name, &settings), Some(case));
        }
    }
}
