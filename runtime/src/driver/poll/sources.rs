//! Who waits for which source, and what each source is registered for.

use std::mem;
use std::task::Waker;

use super::poller::Wanted;
use crate::driver::{Interest, Sink};
use crate::sys::RawSource;

/// A wait, by the number it was given; numbers are not used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(super) source: RawSource,
    pub(super) interest: Interest,
    pub(super) number: u64,
}

impl Ticket {
    /// A wait that nobody keeps.
    pub(crate) fn never(source: RawSource, interest: Interest) -> Self {
        Self {
            source,
            interest,
            number: 0,
        }
    }
}

/// One who waits.
pub(super) struct Waiting {
    pub(super) number: u64,
    /// When, in ticks.
    pub(super) submitted: u64,
    pub(super) waker: Waker,
}

/// What one source is watched for, and by whom.
#[derive(Default)]
pub(super) struct Source {
    pub(super) readable: Direction,
    pub(super) writable: Direction,
    /// The poller knows it.
    pub(super) known: bool,
}

/// Those who wait. There is rarely more than one.
#[derive(Default)]
pub(super) struct Direction {
    first: Option<Waiting>,
    #[expect(clippy::box_collection, reason = "each source has room for it")]
    others: Option<Box<Vec<Waiting>>>,
    pub(super) armed: bool,
    /// Waits that are over at once, for what has come that nobody was told of.
    missed: u8,
}

impl Source {
    pub(super) fn of(&mut self, interest: Interest) -> &mut Direction {
        match interest {
            Interest::Readable => &mut self.readable,
            Interest::Writable => &mut self.writable,
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        self.readable.armed || self.writable.armed
    }

    /// What the poller is to know of it.
    pub(super) fn wanted(&self, source: RawSource) -> Wanted {
        Wanted {
            source,
            readable: self.readable.armed,
            writable: self.writable.armed,
        }
    }
}

impl Direction {
    #[inline]
    pub(super) fn is_waited_for(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.first
            .iter()
            .chain(self.others.iter().flat_map(|others| others.iter()))
    }

    #[inline]
    pub(super) fn find(&mut self, number: u64) -> Option<&mut Waiting> {
        match &mut self.first {
            Some(first) if first.number == number => Some(first),
            _ => {
                let mut others = self.others.iter_mut().flat_map(|others| others.iter_mut());
                others.find(|waiting| waiting.number == number)
            }
        }
    }

    #[inline]
    pub(super) fn add(&mut self, waiting: Waiting) {
        match self.first {
            None => self.first = Some(waiting),
            Some(_) => self.others.get_or_insert_default().push(waiting),
        }
    }

    /// Ends one wait. Whoever gives up one that was over may have done nothing about it, and so the
    /// next is told.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waiting> {
        let is_it = |waiting: &Waiting| waiting.number == number;
        if self.first.as_ref().is_some_and(is_it) {
            let next = self.others.as_mut().and_then(|others| others.pop());
            return mem::replace(&mut self.first, next);
        }
        let others = self.others.as_mut();
        let left = others.and_then(|others| {
            let place = others.iter().position(is_it)?;
            Some(others.swap_remove(place))
        });
        if left.is_none() {
            self.missed = self.missed.max(1);
        }
        left
    }

    /// Whether something has come that nobody was told of. Asking is being told.
    #[inline]
    pub(super) fn take_missed(&mut self) -> bool {
        let missed = self.missed > 0;
        self.missed = self.missed.saturating_sub(1);
        missed
    }

    /// Something has come, and if it is `ragged`, in more than one part: wakes all who wait, and says
    /// how many they are.
    #[inline]
    pub(super) fn fire(&mut self, ragged: bool, sink: &mut Sink<'_>) -> usize {
        let parts = 1 + u8::from(ragged);
        let Some(first) = self.first.take() else {
            self.missed = parts;
            return 0;
        };
        self.missed = parts - 1;
        sink.ready(first.waker, first.submitted);
        1 + match &mut self.others {
            Some(others) => others
                .drain(..)
                .map(|waiting| sink.ready(waiting.waker, waiting.submitted))
                .count(),
            None => 0,
        }
    }
}

/// All sources, by their numbers: descriptors are small.
#[cfg(unix)]
#[derive(Default)]
pub(super) struct Sources(Vec<Source>);

#[cfg(unix)]
impl Sources {
    pub(super) fn find(&mut self, source: RawSource) -> Option<&mut Source> {
        self.0.get_mut(usize::try_from(source).ok()?)
    }

    /// Also one that has not been here.
    pub(super) fn at(&mut self, source: RawSource) -> &mut Source {
        let place = usize::try_from(source).expect("open descriptors are not negative");
        if self.0.len() <= place {
            // By a quarter, as with many connections this is much of what one of them costs.
            self.0.reserve_exact(place - self.0.len() + 16 + place / 4);
            self.0.resize_with(place + 1, Source::default);
        }
        &mut self.0[place]
    }

    pub(super) fn take(&mut self, source: RawSource) -> Option<Source> {
        self.find(source).map(mem::take)
    }

    pub(super) fn for_each(&mut self, mut each: impl FnMut(RawSource, &mut Source)) {
        for (number, source) in (0..).zip(&mut self.0) {
            each(number, source);
        }
    }
}

/// All sources.
#[cfg(windows)]
#[derive(Default)]
pub(super) struct Sources(std::collections::HashMap<RawSource, Source>);

#[cfg(windows)]
impl Sources {
    pub(super) fn find(&mut self, source: RawSource) -> Option<&mut Source> {
        self.0.get_mut(&source)
    }

    /// Also one that has not been here.
    pub(super) fn at(&mut self, source: RawSource) -> &mut Source {
        self.0.entry(source).or_default()
    }

    pub(super) fn take(&mut self, source: RawSource) -> Option<Source> {
        self.0.remove(&source)
    }

    pub(super) fn for_each(&mut self, mut each: impl FnMut(RawSource, &mut Source)) {
        for (&number, source) in &mut self.0 {
            each(number, source);
        }
    }
}
