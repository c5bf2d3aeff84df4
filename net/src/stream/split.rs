//! Halves of a stream, for one who reads and one who writes.
//!
//! Every method of a stream needs no more than a shared reference, so halves are never needed for
//! sharing. They are for code that wants an own value for each direction, such as the poll traits,
//! and for two tasks of which each is to end its direction: an owned write half that is dropped
//! says so to the peer.

use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::rc::Rc;

use super::ByteStream;

/// A stream that can be taken apart and put together: TCP's, Unix's, and a virtual machine's.
///
/// Implemented here alone.
#[expect(private_bounds, reason = "sealed")]
pub trait Connection: Over {}

/// A newtype of [`ByteStream`].
pub(crate) trait Over: Sized {
    fn over(bytes: Box<ByteStream>) -> Self;
}

/// Reads of a borrowed stream. Made by its `split`.
pub struct ReadHalf<'a>(pub(crate) &'a ByteStream);

stream_methods!(@read ['a] ReadHalf<'a>);
poll_traits!(@read ['a] ReadHalf<'a>);

/// Writes of a borrowed stream. Made by its `split`. Dropping it shuts nothing down.
pub struct WriteHalf<'a>(pub(crate) &'a ByteStream);

stream_methods!(@write ['a] WriteHalf<'a>);
poll_traits!(@write ['a] WriteHalf<'a>);

impl WriteHalf<'_> {
    /// Tells the peer that nothing more comes. Does not wait.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.shut_write()
    }
}

/// Reads of a stream whose writes belong to another. Made by its `into_split`.
///
/// The connection is closed when both halves are dropped.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: annulet_net::TcpStream) -> std::io::Result<()> {
/// let (reader, writer) = stream.into_split();
/// let echo = annulet_runtime::spawn(async move {
///     while let Some(message) = reader.recv().await? {
///         writer.write_all(message).await?;
///     }
///     // The write half goes, and the peer sees the end.
///     Ok::<_, std::io::Error>(())
/// });
/// # let _ = echo;
/// # Ok(())
/// # }
/// ```
pub struct OwnedReadHalf<S>(Rc<ByteStream>, PhantomData<fn() -> S>);

stream_methods!(@read [S] OwnedReadHalf<S>);
poll_traits!(@read [S] OwnedReadHalf<S>);

impl<S: Connection> OwnedReadHalf<S> {
    /// Makes the stream whole again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are of two streams.
    ///
    /// # Panics
    ///
    /// Never: two halves of one stream are all there is of it.
    pub fn reunite(self, write: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Rc::ptr_eq(&self.0, &write.0.0) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        let whole = Rc::into_inner(self.0).expect("the other half is gone");
        Ok(S::over(Box::new(whole)))
    }
}

/// Writes of a stream whose reads belong to another. Made by its `into_split`.
///
/// Dropping it shuts the write side down, so that the peer sees the end; reads go on. See
/// [`forget`](Self::forget).
pub struct OwnedWriteHalf<S>(Writes, PhantomData<fn() -> S>);

stream_methods!(@write [S] OwnedWriteHalf<S>);
poll_traits!(@write [S] OwnedWriteHalf<S>);

impl<S> OwnedWriteHalf<S> {
    /// Tells the peer that nothing more comes. Does not wait.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.shut_write()
    }

    /// Drops it without shutting anything down: the peer sees no end before the read half goes,
    /// too.
    pub fn forget(mut self) {
        self.0.1 = false;
    }
}

impl<S: Connection> OwnedWriteHalf<S> {
    /// Makes the stream whole again.
    ///
    /// # Errors
    ///
    /// Both halves, if they are of two streams.
    pub fn reunite(self, read: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        read.reunite(self)
    }
}

/// The stream, and whether to shut its write side down.
struct Writes(Rc<ByteStream>, bool);

impl Deref for Writes {
    type Target = ByteStream;

    fn deref(&self) -> &ByteStream {
        &self.0
    }
}

impl Drop for Writes {
    fn drop(&mut self) {
        if mem::take(&mut self.1) {
            // The connection may be gone already, and then there is nobody to tell.
            let _unheard = self.0.shut_write();
        }
    }
}

/// Two halves that are not of one stream.
pub struct ReuniteError<S>(
    /// The half that reads.
    pub OwnedReadHalf<S>,
    /// The half that writes.
    pub OwnedWriteHalf<S>,
);

impl<S> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of two streams")
    }
}

impl<S> Error for ReuniteError<S> {}

impl fmt::Debug for ReadHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadHalf").field(&self.0.socket).finish()
    }
}

impl fmt::Debug for WriteHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteHalf").field(&self.0.socket).finish()
    }
}

impl<S> fmt::Debug for OwnedReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedReadHalf")
            .field(&self.0.socket)
            .finish()
    }
}

impl<S> fmt::Debug for OwnedWriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWriteHalf")
            .field(&self.0.socket)
            .finish()
    }
}

impl ByteStream {
    pub(crate) fn into_split<S>(self: Box<Self>) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        let whole = Rc::from(self);
        let writes = Writes(Rc::clone(&whole), true);
        (
            OwnedReadHalf(whole, PhantomData),
            OwnedWriteHalf(writes, PhantomData),
        )
    }
}

/// The ways to halve a newtype of [`ByteStream`].
macro_rules! split_methods {
    ($Stream:ident) => {
        impl $crate::stream::split::Over for $Stream {
            fn over(bytes: Box<$crate::stream::ByteStream>) -> Self {
                Self(bytes)
            }
        }

        impl $crate::Connection for $Stream {}

        impl $Stream {
            /// Two halves that borrow the stream, to read and to write by the poll traits at once.
            ///
            /// Where `AsyncReadExt` of `futures-util` is in scope, `stream.split()` is that trait's
            /// method, which takes the stream: write the type's name before this one.
            #[must_use]
            pub fn split(&mut self) -> ($crate::ReadHalf<'_>, $crate::WriteHalf<'_>) {
                ($crate::ReadHalf(&self.0), $crate::WriteHalf(&self.0))
            }

            /// Two halves for two tasks of this shard. Dropping the one that writes shuts the write
            /// side down.
            #[must_use]
            pub fn into_split(self) -> ($crate::OwnedReadHalf<Self>, $crate::OwnedWriteHalf<Self>) {
                self.0.into_split()
            }
        }
    };
}
