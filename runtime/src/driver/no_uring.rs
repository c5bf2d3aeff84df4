//! What stands in for the io_uring backend on systems that are not Linux: types without values.
//!
//! The driver names its backends without asking for the platform. Here [`Uring::open`] always
//! fails, so no value of these types is ever made, and whatever would use one is known not to run.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::Sink;
use super::config::{Config, DriverReport};
use super::features::Mask;
use super::slots::SlotId;
use crate::buf::{Aligned, Provided};

/// One submission queue entry.
#[derive(Clone, Debug)]
pub(crate) struct Sqe(Infallible);

/// Wakes the thread of a ring.
#[derive(Debug)]
pub(crate) enum Doorbell {}

impl Doorbell {
    pub(crate) fn ring(&self) {
        match *self {}
    }
}

/// The mark of a thread that drives a ring.
#[derive(Debug)]
pub(crate) enum EnterGuard {}

/// The kernel's side of a ring.
#[derive(Debug)]
pub(crate) enum Ring {}

/// The kernel that a driver would run on.
pub(crate) type Active = Ring;

/// The backend.
pub(crate) struct Uring<K> {
    never: Infallible,
    _kernel: PhantomData<K>,
}

impl Uring<Ring> {
    pub(crate) fn open(_config: &Config) -> io::Result<(Self, DriverReport, Mask)> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "it needs Linux"))
    }

    pub(crate) fn lend_buffers(&mut self, _provided: &Provided) -> io::Result<()> {
        match self.never {}
    }

    pub(crate) fn take_back_buffers(&mut self) {
        match self.never {}
    }

    pub(crate) fn register(&mut self, _number: u16, _memory: &Aligned) -> bool {
        match self.never {}
    }

    pub(crate) fn unregister(&mut self, _number: u16) {
        match self.never {}
    }

    pub(crate) fn enter(&self) -> Option<EnterGuard> {
        match self.never {}
    }
}

impl<K> Uring<K> {
    pub(crate) fn doorbell(&self) -> Arc<Doorbell> {
        match self.never {}
    }

    pub(crate) fn push(&mut self, _id: SlotId, sqe: Sqe) {
        match sqe.0 {}
    }

    pub(crate) fn cancel(&mut self, _id: SlotId) {
        match self.never {}
    }

    pub(crate) fn is_behind(&mut self) -> bool {
        match self.never {}
    }

    pub(crate) fn is_waited_for(&mut self) -> bool {
        match self.never {}
    }

    pub(crate) fn peek(&self) -> bool {
        match self.never {}
    }

    pub(crate) fn park(
        &mut self,
        _timeout: Option<Duration>,
        _sink: &mut Sink<'_>,
    ) -> io::Result<()> {
        match self.never {}
    }
}
