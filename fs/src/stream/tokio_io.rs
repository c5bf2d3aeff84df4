//! tokio's traits, over those of `futures-io`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{BufReader, BufWriter, Cursor};

macro_rules! reads {
    ($($Type:ty),*) => { $(
        impl AsyncRead for $Type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                space: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let read = futures_io::AsyncRead::poll_read(self, cx, space.initialize_unfilled());
                space.advance(ready!(read)?);
                Poll::Ready(Ok(()))
            }
        }
    )* };
}

macro_rules! writes {
    ($($Type:ty),*) => { $(
        /// Shutting down is closing, by the trait of `futures-io`.
        impl AsyncWrite for $Type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write(self, cx, bytes)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_flush(self, cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_close(self, cx)
            }
        }
    )* };
}

reads!(Cursor, BufReader);
writes!(Cursor, BufWriter);

impl AsyncBufRead for BufReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        futures_io::AsyncBufRead::poll_fill_buf(self, cx)
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        Self::consume(self.get_mut(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use annulet_runtime::{Builder, Choice};
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

    use crate::{BufReader, BufWriter, Cursor, File};

    #[test]
    fn tokios_helpers_read_what_they_have_written() {
        for choice in [Choice::Auto, Choice::Poll] {
            let runtime = Builder::new().driver(choice).build().expect("a runtime");
            runtime.block_on(async {
                let folder = tempfile::tempdir().expect("a directory");
                let path = folder.path().join("file");
                let mut out = BufWriter::new(File::create(&path).await.expect("made"));
                out.write_all(b"one\ntwo\n").await.expect("accepted");
                out.shutdown().await.expect("written");
                let mut cursor = Cursor::at(File::open(&path).await.expect("there"), 4);
                let mut rest = String::new();
                cursor.read_to_string(&mut rest).await.expect("read");
                assert_eq!(rest, "two\n");
                let mut reader = BufReader::new(File::open(&path).await.expect("there"));
                let mut line = String::new();
                AsyncBufReadExt::read_line(&mut reader, &mut line)
                    .await
                    .expect("read");
                assert_eq!(line, "one\n");
            });
        }
    }
}
