//! What a driver is asked to be, and what it turned out to be.

use std::{env, fmt};

use super::features::{Code, Feature, Mask};

/// Which driver to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Choice {
    /// io_uring where it works, else polling.
    #[default]
    Auto,
    /// io_uring or an error.
    Uring,
    /// Polling, without touching io_uring at all.
    Poll,
    /// The same, through the `polling` crate even where epoll could be asked directly: as on other
    /// systems.
    Portable,
}

impl Choice {
    /// The choice of that name: `auto`, `uring`, `poll` or `portable`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "uring" => Some(Self::Uring),
            "poll" => Some(Self::Poll),
            "portable" => Some(Self::Portable),
            _ => None,
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Poll => "poll",
            Self::Portable => "portable",
        })
    }
}

/// Which driver runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum DriverKind {
    /// io_uring.
    Uring,
    /// Readiness: epoll on Linux, elsewhere what the `polling` crate has (kqueue, IOCP); files on
    /// the blocking pool.
    Poll,
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring => "uring",
            Self::Poll => "poll",
        })
    }
}

/// What a shard's driver is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which driver.
    pub choice: Choice,
    /// Features and opcodes to do without.
    pub disabled: Mask,
    /// Entries of the submission queue.
    pub sq_entries: u32,
    /// Entries of the completion queue.
    pub cq_entries: u32,
    /// Provided buffers for receives; a power of two.
    pub buffers: u16,
    /// Bytes of one provided buffer.
    pub buffer_bytes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            choice: Choice::Auto,
            disabled: Mask::NONE,
            // More than 64 entries to an enter buy nothing; the rest is room for bursts.
            sq_entries: 256,
            // Multishot completions arrive unasked, and an overflow is slow.
            cq_entries: 4096,
            buffers: 1024,
            // Most messages fit; larger ones are received into buffers of their own.
            buffer_bytes: 4096,
        }
    }
}

impl Config {
    /// Applies `ANNULET_DRIVER` and `ANNULET_URING_DISABLE`.
    ///
    /// # Errors
    ///
    /// Says which variable has a value that means nothing.
    pub fn with_environment(mut self) -> Result<Self, String> {
        if let Ok(name) = env::var("ANNULET_DRIVER") {
            self.choice = Choice::from_name(&name).ok_or_else(|| {
                format!("ANNULET_DRIVER is {name:?}: use auto, uring, poll or portable")
            })?;
        }
        if let Ok(list) = env::var("ANNULET_URING_DISABLE") {
            let mask = Mask::parse(&list).map_err(|name| {
                format!("ANNULET_URING_DISABLE names {name:?}, which is no feature and no opcode")
            })?;
            self.disabled = self.disabled.union(mask);
        }
        Ok(self)
    }
}

/// Which driver a shard got, and why not a better one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DriverReport {
    /// The backend that runs.
    pub kind: DriverKind,
    /// Why not io_uring; empty where it runs.
    pub reason: String,
    /// Whether polling is second best here (not asked for).
    pub fell_back: bool,
    /// The set-up flags of the ring, by name.
    pub setup: Vec<&'static str>,
    /// Features that work and are not masked.
    pub features: Vec<Feature>,
    /// Features that the kernel lacks or a mask hides, each with the reason.
    pub missing: Vec<(Feature, String)>,
    /// Opcodes that go to the ring.
    pub codes: Vec<Code>,
}

/// Whether this system has io_uring at all.
const HAS_RINGS: bool = cfg!(target_os = "linux");

impl DriverReport {
    pub(crate) fn poll(reason: String, choice: Choice) -> Self {
        Self {
            kind: DriverKind::Poll,
            reason,
            fell_back: choice == Choice::Auto && HAS_RINGS,
            setup: Vec::new(),
            features: Vec::new(),
            missing: Vec::new(),
            codes: Vec::new(),
        }
    }
}

impl fmt::Display for DriverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.reason.is_empty()) {
            (DriverKind::Uring, _) => {
                write!(f, "uring ({})", self.setup.join(" "))
            }
            (DriverKind::Poll, true) => f.write_str("poll"),
            (DriverKind::Poll, false) => write!(f, "poll (no io_uring: {})", self.reason),
        }
    }
}
