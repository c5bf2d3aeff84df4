//! Sizes and times as people write and read them.
//!
//! As in the core utilities, `K`, `M`, `G` … and `KiB`, `MiB` … are powers of 1024, `KB`, `MB` …
//! of 1000. Sizes are told in powers of 1024, with three digits.

use std::time::Duration;

const PREFIXES: &[u8] = b"KMGTPE";

/// A count of bytes, as `4096`, `10M` or `2GB`.
///
/// # Errors
///
/// What is wrong, in words.
pub(crate) fn bytes_of(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "a number is wanted, as 4096, 10M or 2GB".to_owned())?;
    let factor = factor_of(unit).ok_or_else(|| {
        format!("`{unit}` is no unit; K, M, G … are powers of 1024, KB, MB, GB … of 1000")
    })?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "more bytes than can be counted".to_owned())
}

/// A count of bytes that is not zero.
///
/// # Errors
///
/// What is wrong, in words.
pub(crate) fn rate_of(text: &str) -> Result<u64, String> {
    match bytes_of(text)? {
        0 => Err("nothing can be copied at no bytes a second".to_owned()),
        rate => Ok(rate),
    }
}

fn factor_of(unit: &str) -> Option<u64> {
    let Some((&prefix, rest)) = unit.as_bytes().split_first() else {
        return Some(1);
    };
    if unit == "B" {
        return Some(1);
    }
    let at = PREFIXES
        .iter()
        .position(|&known| known == prefix.to_ascii_uppercase())?;
    let base: u64 = match rest {
        b"" | b"iB" => 1024,
        b"B" => 1000,
        _ => return None,
    };
    base.checked_pow(u32::try_from(at).ok()? + 1)
}

/// A count of bytes in at most eight characters: `999 B`, `1.50 KiB`, `12.3 GiB`.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    let mut value = bytes as f64;
    if value < 1000.0 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    value /= 1024.0;
    // From 999.5 on it would be told with four digits.
    while value >= 999.5 && unit + 1 < PREFIXES.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {}iB", char::from(PREFIXES[unit]))
}

/// A time as `0:07`, `12:34` or `1:02:03`.
pub(crate) fn time_in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A count with its digits in groups of three: `12,345`.
pub(crate) fn count_in_words(count: u64) -> String {
    let digits = count.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// `1 file`, `12,345 files`.
pub(crate) fn files_in_words(count: u64) -> String {
    let files = if count == 1 { "file" } else { "files" };
    format!("{} {files}", count_in_words(count))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bytes_in_words, bytes_of, count_in_words, files_in_words, rate_of, time_in_words};

    #[test]
    fn sizes_are_read_as_the_core_utilities_read_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("1K", 1024),
            ("1k", 1024),
            ("10M", 10 << 20),
            ("10MiB", 10 << 20),
            ("10MB", 10_000_000),
            ("3G", 3 << 30),
            ("15E", 15 << 60),
        ] {
            assert_eq!(bytes_of(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "M",
            "-1",
            "1.5G",
            "10X",
            "10Mi",
            "16E",
            "1 K",
            "99999999999999999999",
        ] {
            assert!(bytes_of(text).is_err(), "{text}");
        }
        assert!(rate_of("0").is_err());
    }

    #[test]
    fn sizes_are_told_with_three_digits() {
        for (bytes, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.98 KiB"),
            (1536, "1.50 KiB"),
            (10_240, "10.0 KiB"),
            (1_023_000, "999 KiB"),
            (1_023_900, "0.98 MiB"),
            (1 << 20, "1.00 MiB"),
            (12_345_678_901, "11.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes_in_words(bytes), words);
            assert!(words.len() <= 8, "{words}");
        }
    }

    #[test]
    fn times_and_counts_are_told_in_groups() {
        let time = |seconds| time_in_words(Duration::from_secs(seconds));
        assert_eq!(
            (time(7), time(754), time(3723)),
            ("0:07".into(), "12:34".into(), "1:02:03".into())
        );
        let counts = [0, 999, 1000, 12_345, 1_234_567].map(count_in_words);
        assert_eq!(counts, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(
            [0, 1, 2].map(files_in_words),
            ["0 files", "1 file", "2 files"]
        );
    }
}
