//! What the kernel knows of a connection.

use std::time::Duration;

/// How a connection is doing, as the kernel sees it at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// The smoothed round-trip time.
    pub rtt: Duration,
    /// How much that varies.
    pub rtt_variation: Duration,
    /// The round-trip time as the receiving side sees it; zero while it is not known.
    pub recv_rtt: Duration,
    /// After how long what is unconfirmed is sent again.
    pub retransmit_timeout: Duration,
    /// How long ago data was sent last.
    pub since_sent: Duration,
    /// How long ago data came last.
    pub since_received: Duration,
    /// Segments that may be under way.
    pub window_segments: u32,
    /// Segments that were sent and not confirmed.
    pub unconfirmed_segments: u32,
    /// Those of them that are taken for lost.
    pub lost_segments: u32,
    /// Segments that were sent again, since the connection began.
    pub retransmitted_segments: u32,
    /// Bytes of payload in the largest segment that is sent.
    pub send_segment_bytes_max: u32,
    /// The same of those that come, as far as is known.
    pub recv_segment_bytes_max: u32,
    /// Bytes of the largest packet that the way allows.
    pub path_bytes_max: u32,
}
