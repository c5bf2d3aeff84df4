//! What an error of accepting is about, whatever number the system has for it.

/// What an error of accepting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptFault {
    /// The one connection, which is gone: the next may be well.
    Connection,
    /// Something that the system is short of, as descriptors: later there may be enough.
    Shortage,
    /// The listener, or what it may do.
    Listener,
}
