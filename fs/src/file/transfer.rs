//! From one file to another, inside the kernel.

use std::io;

use super::File;
use crate::offload::offload;
use crate::platform;

/// Bytes of one call, so that whoever gives up is heard soon.
const PIECE_BYTES: usize = 8 << 20;

impl File {
    /// Copies up to `bytes` from `from_offset` of this file to `to_offset` of another, inside the
    /// kernel, and says how many: fewer at the end, and in any case at most 8 MiB.
    ///
    /// On file systems that share blocks nothing is copied at all; [`reflink_from`](Self::reflink_from)
    /// insists on that.
    ///
    /// # Errors
    ///
    /// The system's: `CrossesDevices` or `Unsupported` where the kernel cannot do it for these
    /// files, and they must be read and written.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: an unknown part may be copied after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `copy_file_range(2)` (Linux 4.5) on the blocking pool; the ring has no operation for it.
    /// `Unsupported` on other systems.
    pub async fn copy_range(
        &self,
        from_offset: u64,
        to: &Self,
        to_offset: u64,
        bytes: u64,
    ) -> io::Result<u64> {
        let to = to.file.try_clone()?;
        let bytes = usize::try_from(bytes).map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES));
        self.call(move |from| platform::copy_range(from, from_offset, &to, to_offset, bytes))
            .await
            .map(|copied| copied as u64)
    }

    /// Makes the content of this file that of `from`, by sharing its blocks until one of the two is
    /// written to: at once, for a file of any size.
    ///
    /// # Errors
    ///
    /// The system's: `Unsupported` or `CrossesDevices` where blocks cannot be shared.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it may be done after the future is dropped.
    ///
    /// # Kernel
    ///
    /// `ioctl(FICLONE)` (Linux 4.5) on the blocking pool. `Unsupported` on other systems.
    pub async fn reflink_from(&self, from: &Self) -> io::Result<()> {
        let (to, from) = (self.file.try_clone()?, from.file.try_clone()?);
        offload(move || platform::reflink(&to, &from)).await
    }
}
