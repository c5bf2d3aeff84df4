//! What a driver may use: the opcodes, the features of a ring, and the mask that hides some of
//! them.
//!
//! A feature counts as present when the start-up probe has seen it work *and* no mask hides it. The
//! mask makes a new kernel behave like an old one, so each way around a missing feature has a test:
//! `ANNULET_URING_DISABLE=defer_taskrun,multishot` or [`Builder::uring_disable`].
//!
//! [`Builder::uring_disable`]: crate::Builder::uring_disable

use std::fmt;

/// Declares an enum whose members have names, positions and a list.
macro_rules! named {
    ($(#[$meta:meta])* $vis:vis enum $type:ident { $($(#[$doc:meta])* $member:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        $vis enum $type { $($(#[$doc])* $member,)+ }

        impl $type {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$member,)+];

            /// The name, as it stands in masks and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $name,)+ }
            }

            /// The one of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.name() == name)
            }

            const fn bit(self) -> u64 {
                1 << (self as u32)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// The kinds of request a driver serves, by the kernel's names.
    pub enum Code {
        /// Does nothing.
        Nop = "nop",
        /// Waits until a source is readable or writable.
        Ready = "poll_add",
        /// Takes one connection.
        Accept = "accept",
        /// Takes connections until cancelled.
        AcceptMulti = "accept_multi",
        /// Connects a socket.
        Connect = "connect",
        /// Receives into an owned buffer.
        Recv = "recv",
        /// Receives into provided buffers until cancelled.
        RecvMulti = "recv_multi",
        /// Receives a message with all that comes along.
        RecvMsg = "recvmsg",
        /// Receives messages into provided buffers until cancelled.
        RecvMsgMulti = "recvmsg_multi",
        /// Sends a message with an address and control messages.
        SendMsg = "sendmsg",
        /// Sends an owned buffer.
        Send = "send",
        /// Reads a file at an offset.
        ReadAt = "read",
        /// Writes a file at an offset.
        WriteAt = "write",
        /// Makes written data durable.
        Fsync = "fsync",
        /// Reads a file at an offset into several buffers.
        ReadVectoredAt = "readv",
        /// Writes several buffers to a file at an offset.
        WriteVectoredAt = "writev",
        /// Sets a file's length.
        Ftruncate = "ftruncate",
        /// Reads what a pipe brings next.
        ReadStream = "read_stream",
        /// Writes to a pipe.
        WriteStream = "write_stream",
        /// Waits for a child and reaps it.
        WaitId = "waitid",
        /// Sends an owned buffer from where it is.
        SendZc = "send_zc",
        /// Sends several owned buffers.
        SendVectored = "send_vectored",
        /// Moves bytes between a file and a socket without bringing them here.
        Splice = "splice",
    }
}

named! {
    /// The optional features of a ring.
    pub enum Feature {
        /// `IORING_SETUP_SINGLE_ISSUER` (Linux 6.0).
        SingleIssuer = "single_issuer",
        /// `IORING_SETUP_COOP_TASKRUN` and `TASKRUN_FLAG` (5.19).
        CoopTaskrun = "coop_taskrun",
        /// `IORING_SETUP_DEFER_TASKRUN` (6.1).
        DeferTaskrun = "defer_taskrun",
        /// `IORING_SETUP_SUBMIT_ALL` (5.18).
        SubmitAll = "submit_all",
        /// `IORING_SETUP_NO_SQARRAY` (6.6).
        NoSqarray = "no_sqarray",
        /// The ring's descriptor registered with its thread (5.18).
        RingFd = "ring_fd",
        /// Waits that do not count as I/O wait (6.15).
        NoIowait = "no_iowait",
        /// Multishot accept, receive and poll (5.13 to 6.0).
        Multishot = "multishot",
        /// Provided buffer rings (5.19).
        BufRing = "buf_ring",
        /// Wake-ups from ring to ring (5.18).
        MsgRing = "msg_ring",
        /// Reads that try the page cache first (`RWF_NOWAIT`).
        ReadNowait = "read_nowait",
        /// Receives that wait before they try (5.19).
        PollFirst = "poll_first",
        /// Sends that go on until all is sent, and say how much was when they are cancelled (6.1).
        SendAll = "send_all",
        /// Buffers that the ring knows by numbers (5.19).
        RegisteredBuffers = "registered_buffers",
    }
}

/// A set of features and opcodes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Mask {
    features: u64,
    codes: u64,
}

impl Mask {
    /// The empty set.
    pub const NONE: Self = Self {
        features: 0,
        codes: 0,
    };

    /// Reads a list of names, parted by commas. `all` names every feature and no opcode.
    ///
    /// # Errors
    ///
    /// The first name that is neither a feature's nor an opcode's.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut mask = Self::NONE;
        for name in list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if name == "all" {
                mask.features = u64::MAX;
            } else if let Some(feature) = Feature::from_name(name) {
                mask.features |= feature.bit();
            } else if let Some(code) = Code::from_name(name) {
                mask.codes |= code.bit();
            } else {
                return Err(name.to_owned());
            }
        }
        Ok(mask)
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            features: self.features | other.features,
            codes: self.codes | other.codes,
        }
    }

    /// This set with a feature more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self {
            features: self.features | feature.bit(),
            codes: self.codes,
        }
    }

    /// This set with an opcode more.
    #[must_use]
    pub const fn with_code(self, code: Code) -> Self {
        Self {
            features: self.features,
            codes: self.codes | code.bit(),
        }
    }

    /// What is in this set and not in `hidden`.
    #[must_use]
    pub const fn without(self, hidden: Self) -> Self {
        Self {
            features: self.features & !hidden.features,
            codes: self.codes & !hidden.codes,
        }
    }

    /// Whether the feature is in the set.
    #[must_use]
    #[inline]
    pub const fn has(self, feature: Feature) -> bool {
        self.features & feature.bit() != 0
    }

    /// Whether the opcode is in the set.
    #[must_use]
    #[inline]
    pub const fn has_code(self, code: Code) -> bool {
        self.codes & code.bit() != 0
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features = Feature::ALL
            .iter()
            .filter(|f| self.has(**f))
            .map(|f| f.name());
        let codes = Code::ALL
            .iter()
            .filter(|c| self.has_code(**c))
            .map(|c| c.name());
        f.debug_set().entries(features.chain(codes)).finish()
    }
}

impl Code {
    /// The position in [`ALL`](Self::ALL).
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Whether a direct attempt at it answers how many bytes it has copied.
    pub(crate) const fn copies(self) -> bool {
        matches!(
            self,
            Self::ReadAt
                | Self::WriteAt
                | Self::Recv
                | Self::RecvMsg
                | Self::Send
                | Self::SendZc
                | Self::SendMsg
                | Self::SendVectored
                | Self::ReadStream
                | Self::WriteStream
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Feature, Mask};

    #[test]
    fn a_mask_reads_features_and_opcodes_and_refuses_other_names() {
        let mask = Mask::parse("defer_taskrun, recv_multi,").expect("both names exist");
        assert!(mask.has(Feature::DeferTaskrun) && mask.has_code(Code::RecvMulti));
        assert!(!mask.has(Feature::BufRing) && !mask.has_code(Code::Recv));
        assert_eq!(Mask::parse("multishot,warp"), Err("warp".to_owned()));
    }

    #[test]
    fn all_names_every_feature_and_no_opcode() {
        let mask = Mask::parse("all").expect("a known word");
        assert!(Feature::ALL.iter().all(|feature| mask.has(*feature)));
        assert!(Code::ALL.iter().all(|code| !mask.has_code(*code)));
    }
}
