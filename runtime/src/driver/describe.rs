//! What each feature and opcode is good for, in words: the first kernel, and what happens without.
//!
//! The runtime itself never looks at a version; these are for reports to people.

use super::features::{Code, Feature};

impl Feature {
    /// The first Linux that has it.
    #[must_use]
    pub const fn since(self) -> &'static str {
        match self {
            Self::SingleIssuer => "6.0",
            Self::CoopTaskrun => "5.19",
            Self::DeferTaskrun => "6.1",
            Self::SubmitAll | Self::RingFd | Self::MsgRing => "5.18",
            Self::NoSqarray => "6.6",
            Self::NoIowait => "6.15",
            Self::Multishot | Self::BufRing => "5.19",
            Self::ReadNowait => "4.14",
            Self::PollFirst | Self::RegisteredBuffers => "5.19",
            Self::SendAll => "6.1",
        }
    }

    /// What is done, or suffered, without it.
    #[must_use]
    pub const fn without(self) -> &'static str {
        match self {
            Self::SingleIssuer => "the kernel locks the ring at each entry",
            Self::CoopTaskrun => "completions interrupt the shard's thread",
            Self::DeferTaskrun => "completions are worked on whenever the thread enters the kernel",
            Self::SubmitAll => "a refused entry holds back those behind it for one more call",
            Self::NoSqarray => "each entry is named in one more array",
            Self::RingFd => "each call looks the ring's descriptor up",
            Self::NoIowait => "an idle shard shows as waiting for I/O, and raises the load figures",
            Self::Multishot => "one request for each connection accepted and each message received",
            Self::BufRing => "a receive waits for readiness first, and then copies by a call",
            Self::MsgRing => "a shard wakes another through an eventfd",
            Self::ReadNowait => "a cached read goes through the ring like any other",
            Self::PollFirst => "a receive looks in vain before it waits",
            Self::SendAll => "a long write asks again after each part that the kernel takes",
            Self::RegisteredBuffers => {
                "the kernel looks up the memory of each direct read and write"
            }
        }
    }
}

impl Code {
    /// The first Linux whose io_uring has it.
    #[must_use]
    pub const fn since(self) -> &'static str {
        match self {
            Self::Nop
            | Self::Ready
            | Self::Fsync
            | Self::ReadVectoredAt
            | Self::WriteVectoredAt => "5.1",
            Self::RecvMsg | Self::SendMsg => "5.3",
            Self::Accept | Self::Connect => "5.5",
            Self::Splice => "5.7",
            Self::Recv
            | Self::Send
            | Self::ReadAt
            | Self::WriteAt
            | Self::ReadStream
            | Self::WriteStream => "5.6",
            Self::SendVectored => "5.3",
            Self::AcceptMulti => "5.19",
            Self::RecvMulti | Self::RecvMsgMulti | Self::SendZc => "6.0",
            Self::WaitId => "6.7",
            Self::Ftruncate => "6.9",
        }
    }

    /// How it is done without the ring.
    #[must_use]
    pub const fn without(self) -> &'static str {
        match self {
            Self::Nop => "answered at once",
            Self::AcceptMulti => "one request for each connection",
            Self::RecvMulti => "recv(2) when the stream is readable",
            Self::RecvMsgMulti => "recvmsg(2) when the socket is readable",
            Self::Splice => "read into memory and sent from there",
            Self::SendZc => "large buffers are copied like small ones",
            Self::Ready
            | Self::Accept
            | Self::Connect
            | Self::Recv
            | Self::RecvMsg
            | Self::Send
            | Self::SendMsg
            | Self::SendVectored => "tried when the socket is ready",
            Self::ReadStream | Self::WriteStream => "tried when the pipe is ready",
            Self::WaitId => "waitid(2) when the pidfd is readable",
            Self::ReadAt
            | Self::WriteAt
            | Self::ReadVectoredAt
            | Self::WriteVectoredAt
            | Self::Fsync
            | Self::Ftruncate => "a call on the blocking pool",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Feature};

    #[test]
    fn every_first_kernel_is_a_version() {
        let features = Feature::ALL.iter().map(|feature| feature.since());
        let codes = Code::ALL.iter().map(|code| code.since());
        for since in features.chain(codes) {
            let (major, minor) = since.split_once('.').expect("a point");
            assert!(
                (4..8).contains(&major.parse::<u32>().expect("a number")),
                "{since}"
            );
            minor.parse::<u32>().expect("a number");
        }
    }
}
