//! Control messages: a sequence of headers and data in a buffer of bytes, read and written in safe
//! code.
//!
//! Each message is a header (its length, level and kind), padding, its data, and padding up to the
//! next. A header that does not fit, or says more than there is, ends the sequence: the kernel cuts
//! what finds no room.
//!
//! # Invariants
//!
//! 1. The two calls into libc compute lengths from lengths; they touch no memory.

#![expect(unsafe_code, reason = "libc's arithmetic is marked unsafe")]

use std::mem::offset_of;

use libc::{c_int, cmsghdr};

/// From a message's start to its data.
const DATA: usize = data_start();
/// Bytes of the header's length field: as wide as the room before the next field, or less.
const LEN_BYTES: usize = length_of_len(|header| &header.cmsg_len);

const fn data_start() -> usize {
    // SAFETY: arithmetic alone (Invariant 1).
    let start = unsafe { libc::CMSG_LEN(0) };
    start as usize
}

const fn length_of_len<F>(_field: fn(&cmsghdr) -> &F) -> usize {
    size_of::<F>()
}

/// Bytes that a message with so much data takes up, padding included.
fn space(data: usize) -> usize {
    let data = u32::try_from(data).expect("control data is small");
    // SAFETY: arithmetic alone (Invariant 1).
    let space = unsafe { libc::CMSG_SPACE(data) };
    space as usize
}

/// Adds a message to `control`.
pub(super) fn push(control: &mut Vec<u8>, level: c_int, kind: c_int, data: &[u8]) {
    let start = control.len();
    control.resize(start + space(data.len()), 0);
    let message = &mut control[start..];
    let len = DATA + data.len();
    let at = offset_of!(cmsghdr, cmsg_len);
    if LEN_BYTES == size_of::<usize>() {
        message[at..at + LEN_BYTES].copy_from_slice(&len.to_ne_bytes());
    } else {
        let len = u32::try_from(len).expect("control data is small");
        message[at..at + size_of::<u32>()].copy_from_slice(&len.to_ne_bytes());
    }
    put(message, offset_of!(cmsghdr, cmsg_level), level);
    put(message, offset_of!(cmsghdr, cmsg_type), kind);
    message[DATA..len].copy_from_slice(data);
}

fn put(message: &mut [u8], at: usize, value: c_int) {
    message[at..at + size_of::<c_int>()].copy_from_slice(&value.to_ne_bytes());
}

/// The four bytes from `at` on, as a number.
pub(super) fn int(data: &[u8], at: usize) -> Option<c_int> {
    let bytes = data.get(at..at + size_of::<c_int>())?;
    Some(c_int::from_ne_bytes(bytes.try_into().ok()?))
}

/// As [`int`], of eight bytes.
#[cfg(target_os = "linux")]
pub(super) fn long(data: &[u8], at: usize) -> Option<i64> {
    let bytes = data.get(at..at + size_of::<i64>())?;
    Some(i64::from_ne_bytes(bytes.try_into().ok()?))
}

/// Shows each message: level, kind and data.
pub(super) fn for_each(mut control: &[u8], mut show: impl FnMut(c_int, c_int, &[u8])) {
    while let Some((level, kind, data, whole)) = first(control) {
        show(level, kind, data);
        control = control.get(whole..).unwrap_or_default();
    }
}

fn first(control: &[u8]) -> Option<(c_int, c_int, &[u8], usize)> {
    let at = offset_of!(cmsghdr, cmsg_len);
    let field = control.get(at..at + LEN_BYTES)?;
    let len = if LEN_BYTES == size_of::<usize>() {
        usize::from_ne_bytes(field.try_into().ok()?)
    } else {
        u32::from_ne_bytes(field.try_into().ok()?) as usize
    };
    let level = int(control, offset_of!(cmsghdr, cmsg_level))?;
    let kind = int(control, offset_of!(cmsghdr, cmsg_type))?;
    let data = control.get(DATA..len)?;
    Some((level, kind, data, space(data.len())))
}

#[cfg(test)]
mod tests {
    use super::{for_each, push, space};

    fn read(control: &[u8]) -> Vec<(i32, i32, Vec<u8>)> {
        let mut read = Vec::new();
        for_each(control, |level, kind, data| {
            read.push((level, kind, data.to_vec()));
        });
        read
    }

    #[test]
    fn what_was_written_is_read() {
        let mut control = Vec::new();
        let mut written = Vec::new();
        for len in 0..40_u8 {
            let data: Vec<u8> = (0..len).collect();
            push(&mut control, i32::from(len), -i32::from(len), &data);
            written.push((i32::from(len), -i32::from(len), data));
        }
        assert_eq!(read(&control), written);
    }

    #[test]
    fn a_sequence_cut_anywhere_ends_with_the_last_whole_message() {
        let mut control = Vec::new();
        push(&mut control, 1, 2, &[7; 5]);
        let one = control.len();
        assert_eq!(one, space(5));
        push(&mut control, 3, 4, &[8; 9]);
        for cut in 0..control.len() {
            let read = read(&control[..cut]);
            assert!(read.len() <= 2, "cut to {cut}");
            assert!(cut < one || read[0] == (1, 2, vec![7; 5]), "cut to {cut}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_fault() {
        let mut state = 12345_u32;
        for round in 0..2_000 {
            let bytes: Vec<u8> = (0..round % 130)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_be_bytes()[0] & if state & 1 == 0 { 0xff } else { 0x1f }
                })
                .collect();
            read(&bytes);
        }
    }

    #[test]
    fn a_length_of_zero_ends_the_sequence() {
        assert!(read(&[0; 64]).is_empty());
    }
}
