//! What a client makes of the bytes that come back: which answers they complete, and whether they
//! are right.

use std::io;

use super::wrong_answer;

/// What answers look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// Each the same bytes.
    Same(Vec<u8>),
    /// HTTP/1.1 answers with status 200 and this body.
    Http(Vec<u8>),
}

/// How far into an answer a connection is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The part of an HTTP head that has come in, while its end has not.
    head: Vec<u8>,
    /// Bytes of the body that belongs to a head seen in full.
    body_bytes: Option<usize>,
    /// Bytes of the answer, or of its body, that have come in.
    received_bytes: usize,
}

/// A head longer than this is none.
const HEAD_BYTES_MAX: usize = 4096;

impl Answers {
    /// The answers that these bytes complete. They are compared with what they should be only if
    /// asked, since that costs time; the structure of an HTTP answer is always looked at.
    pub(super) fn take(
        &self,
        progress: &mut Progress,
        bytes: &[u8],
        verify: bool,
    ) -> io::Result<usize> {
        match self {
            Self::Same(answer) => {
                if verify && !continues(answer, progress.received_bytes, bytes) {
                    return Err(wrong_answer());
                }
                let received = progress.received_bytes + bytes.len();
                progress.received_bytes = received % answer.len();
                Ok(received / answer.len())
            }
            Self::Http(body) => take_http(body, progress, bytes, verify),
        }
    }

    /// Bytes that an answer has at most, head and body.
    pub(super) const fn bytes_max(&self) -> usize {
        match self {
            Self::Same(answer) => answer.len(),
            Self::Http(body) => HEAD_BYTES_MAX + body.len(),
        }
    }
}

fn take_http(
    body: &[u8],
    progress: &mut Progress,
    mut bytes: &[u8],
    verify: bool,
) -> io::Result<usize> {
    let mut completed = 0;
    while !bytes.is_empty() {
        let Some(expected) = progress.body_bytes else {
            bytes = take_head(progress, bytes)?;
            if progress
                .body_bytes
                .is_some_and(|announced| announced != body.len())
            {
                return Err(wrong_answer());
            }
            if progress.body_bytes == Some(0) {
                progress.body_bytes = None;
                completed += 1;
            }
            continue;
        };
        let (part, rest) = bytes.split_at(bytes.len().min(expected - progress.received_bytes));
        if verify && !continues(body, progress.received_bytes, part) {
            return Err(wrong_answer());
        }
        progress.received_bytes += part.len();
        if progress.received_bytes == expected {
            *progress = Progress {
                head: std::mem::take(&mut progress.head),
                ..Progress::default()
            };
            completed += 1;
        }
        bytes = rest;
    }
    Ok(completed)
}

/// Reads on in a head; what comes after it is given back.
fn take_head<'a>(progress: &mut Progress, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
    // Most heads come whole, and are looked at where they are.
    if progress.head.is_empty()
        && let Some(end) = head_end(bytes)
    {
        progress.body_bytes = Some(content_length(&bytes[..end])?);
        return Ok(&bytes[end..]);
    }
    let before = progress.head.len();
    progress.head.extend_from_slice(bytes);
    match head_end(&progress.head) {
        Some(end) => {
            progress.body_bytes = Some(content_length(&progress.head[..end])?);
            progress.head.clear();
            Ok(&bytes[end - before..])
        }
        None if progress.head.len() > HEAD_BYTES_MAX => Err(wrong_answer()),
        None => Ok(&[]),
    }
}

/// Where the body begins, if the head is all there.
fn head_end(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let start = bytes.windows(END.len()).position(|window| window == END)?;
    Some(start + END.len())
}

/// The length of the body that a head announces.
fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = std::str::from_utf8(head).map_err(|_| wrong_answer())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = name
            .eq_ignore_ascii_case("content-length")
            .then_some(value)?;
        value.trim().parse::<usize>().ok()
    });
    if status != "HTTP/1.1 200" && !status.starts_with("HTTP/1.1 200 ") {
        return Err(wrong_answer());
    }
    length.ok_or_else(wrong_answer)
}

/// Whether `bytes` are what comes after `skipped` bytes of `whole`, repeated for ever.
fn continues(whole: &[u8], skipped: usize, bytes: &[u8]) -> bool {
    let expected = whole.iter().cycle().skip(skipped);
    bytes.iter().zip(expected).all(|(is, should)| is == should)
}

#[cfg(test)]
mod tests {
    use super::{Answers, Progress};

    /// Feeds the stream in pieces of one size; answers completed, or that it was found wrong.
    fn fed(answers: &Answers, stream: &[u8], piece: usize) -> Option<usize> {
        let mut progress = Progress::default();
        let mut completed = 0;
        for bytes in stream.chunks(piece) {
            completed += answers.take(&mut progress, bytes, true).ok()?;
        }
        Some(completed)
    }

    #[test]
    fn answers_are_counted_whatever_pieces_they_come_in() {
        let same = Answers::Same(b"abc".to_vec());
        let http = Answers::Http(b"hello".to_vec());
        let answer = b"HTTP/1.1 200 OK\r\nDate: now\r\ncontent-LENGTH: 5\r\n\r\nhello".repeat(7);
        let empty = b"HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n".repeat(3);
        for piece in 1..120 {
            assert_eq!(fed(&same, b"abcabcab", piece), Some(2));
            assert_eq!(fed(&http, &answer, piece), Some(7));
            assert_eq!(fed(&Answers::Http(Vec::new()), &empty, piece), Some(3));
        }
    }

    #[test]
    fn a_wrong_answer_is_found_whatever_pieces_it_comes_in() {
        let same = Answers::Same(b"abc".to_vec());
        let http = Answers::Http(b"hello".to_vec());
        for piece in 1..60 {
            assert_eq!(fed(&same, b"abcabd", piece), None);
            for wrong in [
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhallo",
                "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello!",
                "HTTP/1.1 500 Sorry\r\ncontent-length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\n\r\nhello",
                "HTTP/1.1 2000\r\ncontent-length: 5\r\n\r\nhello",
            ] {
                assert_eq!(fed(&http, wrong.as_bytes(), piece), None, "{wrong}");
            }
        }
    }
}
