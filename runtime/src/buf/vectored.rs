//! Several buffers as one: what a vectored write takes.

use super::IoBuf;

/// The most buffers that one request names: what every system takes.
pub(crate) const PARTS_MAX: usize = 1024;

/// Buffers that are written one after the other: a `Vec` or an array of buffers of one type, or up
/// to four of different types in a tuple.
///
/// # Examples
///
/// ```
/// use annulet_runtime::buf::IoBufs;
///
/// let parts = (b"head: ".to_vec(), "body");
/// assert_eq!(parts.bytes_init(), 10);
/// assert_eq!(vec!["a", "b", "c"].bytes_init(), 3);
/// ```
pub trait IoBufs: sealed::Sealed + 'static {
    /// Shows the initialised bytes of each, in order.
    fn for_each<'a>(&'a self, show: &mut dyn FnMut(&'a [u8]));

    /// How many bytes are initialised, over all of them.
    fn bytes_init(&self) -> usize {
        let mut bytes = 0;
        self.for_each(&mut |part| bytes += part.len());
        bytes
    }
}

/// Only what consists of [`IoBuf`]s is a list of buffers: the operation relies on each one's
/// promise to stay in place.
mod sealed {
    #[expect(unnameable_types, reason = "so that nobody else implements it")]
    pub trait Sealed {}
}

/// Shows at most `most` parts of what follows byte `from`, none of them empty.
pub(crate) fn parts_from<'a>(
    bufs: &'a dyn IoBufs,
    from: usize,
    most: usize,
    show: &mut dyn FnMut(&'a [u8]),
) {
    let (mut skip, mut count) = (from, 0);
    bufs.for_each(&mut |part| {
        let skipped = skip.min(part.len());
        skip -= skipped;
        let rest = &part[skipped..];
        if !rest.is_empty() && count < most {
            count += 1;
            show(rest);
        }
    });
}

impl<B: IoBuf> sealed::Sealed for Vec<B> {}

impl<B: IoBuf> IoBufs for Vec<B> {
    fn for_each<'a>(&'a self, show: &mut dyn FnMut(&'a [u8])) {
        for buf in self {
            show(buf.as_init());
        }
    }
}

impl<B: IoBuf, const N: usize> sealed::Sealed for [B; N] {}

impl<B: IoBuf, const N: usize> IoBufs for [B; N] {
    fn for_each<'a>(&'a self, show: &mut dyn FnMut(&'a [u8])) {
        for buf in self {
            show(buf.as_init());
        }
    }
}

macro_rules! tuples {
    ($(($($Buf:ident $place:tt),+),)+) => {$(
        impl<$($Buf: IoBuf),+> sealed::Sealed for ($($Buf,)+) {}

        impl<$($Buf: IoBuf),+> IoBufs for ($($Buf,)+) {
            fn for_each<'a>(&'a self, show: &mut dyn FnMut(&'a [u8])) {
                $(show(self.$place.as_init());)+
            }
        }
    )+};
}

tuples! {
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
}

#[cfg(test)]
mod tests {
    use super::{IoBufs, PARTS_MAX, parts_from};

    fn from(bufs: &dyn IoBufs, from: usize) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        parts_from(bufs, from, PARTS_MAX, &mut |part| parts.push(part.to_vec()));
        parts
    }

    #[test]
    fn what_follows_a_byte_begins_inside_a_part_or_at_one() {
        let bufs = ["ab", "", "cde"];
        assert_eq!(bufs.bytes_init(), 5);
        assert_eq!(from(&bufs, 0), [&b"ab"[..], b"cde"]);
        assert_eq!(from(&bufs, 1), [&b"b"[..], b"cde"]);
        assert_eq!(from(&bufs, 2), [b"cde"]);
        assert_eq!(from(&bufs, 4), [b"e"]);
        assert!(from(&bufs, 5).is_empty());
    }

    #[test]
    fn no_request_names_more_parts_than_systems_take() {
        let many = vec!["x"; PARTS_MAX + 5];
        assert_eq!(from(&many, 0).len(), PARTS_MAX);
        assert_eq!(from(&many, PARTS_MAX).len(), 5);
    }
}
