//! Reads and writes of several buffers by one call.

use std::io::ErrorKind;

use annulet_runtime::buf::{BufError, BufResult, IoBufMut, IoBufs};
use annulet_runtime::op::{Op, ReadVectoredAt, WriteVectoredAt};

use super::File;
use super::write::no_offsets;

impl File {
    /// Reads at `offset` into several buffers, each from its first byte and at most its capacity,
    /// the next one when one is full; says how much in all, and sets the length of each.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at), with the buffers.
    ///
    /// # Cancel safety
    ///
    /// As [`read_at`](Self::read_at).
    ///
    /// # Kernel
    ///
    /// `IORING_OP_READV` (Linux 5.1); on the `poll` driver one `pread(2)` a buffer on the blocking
    /// pool.
    pub async fn read_vectored_at<B: IoBufMut>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> BufResult<usize, Vec<B>> {
        if bufs.iter().all(|buf| buf.bytes_total() == 0) {
            return Err(BufError::no_room(bufs));
        }
        let read = ReadVectoredAt::new(&self.file, bufs, offset);
        Op::new(self.file.driver(), read).await
    }

    /// Writes several buffers one after the other at `offset`, and says how much in all; see
    /// [`write_all_vectored_at`](Self::write_all_vectored_at).
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at), with the buffers.
    ///
    /// # Cancel safety
    ///
    /// As [`write_at`](Self::write_at).
    ///
    /// # Kernel
    ///
    /// `IORING_OP_WRITEV` (Linux 5.1); on the `poll` driver one `pwrite(2)` a buffer on the blocking
    /// pool.
    pub async fn write_vectored_at<V: IoBufs>(&self, bufs: V, offset: u64) -> BufResult<usize, V> {
        if self.appends() {
            return Err(BufError::new(no_offsets(), bufs, 0));
        }
        self.write_parts(bufs, 0, offset).await
    }

    /// Writes all of several buffers one after the other at `offset`, and gives them back.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](Self::write_all_at), with the buffers.
    ///
    /// # Cancel safety
    ///
    /// As [`write_all_at`](Self::write_all_at).
    ///
    /// # Kernel
    ///
    /// As [`write_vectored_at`](Self::write_vectored_at); short writes are resumed here.
    pub async fn write_all_vectored_at<V: IoBufs>(
        &self,
        mut bufs: V,
        offset: u64,
    ) -> BufResult<(), V> {
        if self.appends() {
            return Err(BufError::new(no_offsets(), bufs, 0));
        }
        let (mut done, whole) = (0, bufs.bytes_init());
        while done < whole {
            let at = offset.saturating_add(done as u64);
            let (written, back) = match self.write_parts(bufs, done, at).await {
                Ok(written) => written,
                Err(failure) => return Err(BufError::new(failure.error, failure.buf, done)),
            };
            bufs = back;
            if written == 0 {
                return Err(BufError::new(ErrorKind::WriteZero.into(), bufs, done));
            }
            done += written;
        }
        Ok(((), bufs))
    }

    async fn write_parts<V: IoBufs>(
        &self,
        bufs: V,
        from: usize,
        offset: u64,
    ) -> BufResult<usize, V> {
        let write = WriteVectoredAt::new(&self.file, bufs, from, offset)
            .by(self.lane())
            .aside(self.writes_wait());
        Op::new(self.file.driver(), write).await
    }
}
