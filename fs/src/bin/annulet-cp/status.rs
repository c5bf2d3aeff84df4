//! How far a copy is, in one line: a bar that fits a terminal, or words for a log.

use std::time::{Duration, Instant};

use annulet_fs::copy::{Progress, Totals};

use crate::meter::Meter;
use crate::units::{bytes_in_words, count_in_words, files_in_words, time_in_words};

/// A bar of less says nothing, one of more says it too loudly.
const BAR_COLUMNS: std::ops::RangeInclusive<usize> = 10..=40;

/// What is known of a copy at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) progress: Progress,
    pub(crate) totals: Totals,
    /// Bytes a second, lately.
    pub(crate) rate: u64,
    /// Until the end, if that can be told.
    pub(crate) left: Option<Duration>,
    pub(crate) spent: Duration,
}

impl Status {
    /// Takes a look, and remembers it in the meter.
    pub(crate) fn look(meter: &mut Meter, progress: Progress, totals: Totals) -> Self {
        meter.look(Instant::now(), progress.bytes);
        let to_copy = totals.bytes.saturating_sub(progress.skipped_bytes);
        Self {
            progress,
            totals,
            rate: meter.rate(),
            left: meter.remaining(to_copy).filter(|_| totals.is_complete),
            spent: meter.spent(),
        }
    }

    /// How much is done, of 100; nothing while it is not known of how much.
    fn percent(&self) -> Option<u64> {
        let done = self
            .progress
            .bytes
            .saturating_add(self.progress.skipped_bytes);
        let files = self.progress.files.saturating_add(self.progress.skipped);
        let (part, whole) = match self.totals.bytes {
            0 => (files, self.totals.files),
            bytes => (done, bytes),
        };
        // A file that grows while it is copied is no reason for more than everything.
        let percent = u128::from(part.min(whole)) * 100 / u128::from(whole.max(1));
        let known = self.totals.is_complete && whole > 0;
        u64::try_from(percent).ok().filter(|_| known)
    }

    /// One line for a terminal of so many columns; it leaves the last one free. What matters least
    /// is left out first.
    pub(crate) fn bar(&self, columns: usize) -> String {
        let room = columns.saturating_sub(1);
        let percent = self.percent();
        let done = bytes_in_words(self.progress.bytes);
        let rate = format!("{:>8}/s", bytes_in_words(self.rate));
        let mut line = match percent {
            Some(percent) => format!("{percent:>3}%  {rate}"),
            None => format!("{done:>8}  {rate}"),
        };
        let left = percent.and(self.left).map(time_in_words);
        let failures = Some(self.progress.failures).filter(|&failures| failures > 0);
        let total = bytes_in_words(self.totals.bytes);
        let of = match percent {
            Some(_) => Some(format!("{done} of {total}")),
            None => (self.totals.bytes > 0).then(|| format!("of at least {total}")),
        };
        // The bar says more than the count of files does.
        let bar = percent.map_or(0, |_| BAR_COLUMNS.start() + 4);
        let many = self.totals.files != 1;
        let files = many.then(|| files_in_words(self.progress.files));
        for (part, reserved) in [
            (left.map(|left| format!("{left} left")), 0),
            (
                failures.map(|count| format!("{} failed", count_in_words(count))),
                0,
            ),
            (of, 0),
            (files, bar),
        ] {
            let fits = |part: &String| columns_of(&line) + 2 + columns_of(part) + reserved <= room;
            if let Some(part) = part.filter(fits) {
                line.push_str("  ");
                line.push_str(&part);
            }
        }
        let Some(percent) = percent else {
            return clipped(line, room);
        };
        let free = room.saturating_sub(columns_of(&line) + 4);
        if free >= *BAR_COLUMNS.start() {
            let bar = bar_of(percent, free.min(*BAR_COLUMNS.end()));
            line = format!("{bar}  {line}");
        }
        clipped(line, room)
    }

    /// One line for a log.
    pub(crate) fn words(&self) -> String {
        let Self {
            progress, totals, ..
        } = self;
        let percent = self.percent().map(|percent| format!("{percent}%, "));
        let of = match (totals.is_complete, totals.bytes) {
            (true, bytes) => format!(" of {}", bytes_in_words(bytes)),
            (false, 0) => String::new(),
            (false, bytes) => format!(" of at least {}", bytes_in_words(bytes)),
        };
        let left = self
            .left
            .map(|left| format!(", {} left", time_in_words(left)));
        format!(
            "{}{}{of}, {}, {}/s{}{}",
            percent.unwrap_or_default(),
            bytes_in_words(progress.bytes),
            files_in_words(progress.files),
            bytes_in_words(self.rate),
            left.unwrap_or_default(),
            failed(progress),
        )
    }

    /// One line at the end.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean rate is positive and its fractions are nobody's concern"
    )]
    pub(crate) fn sum(&self) -> String {
        let seconds = self.spent.as_secs_f64().max(0.001);
        let mean = (self.progress.bytes as f64 / seconds) as u64;
        format!(
            "{}, {} in {}, {}/s{}",
            bytes_in_words(self.progress.bytes),
            files_in_words(self.progress.files),
            time_in_words(self.spent),
            bytes_in_words(mean),
            failed(&self.progress),
        )
    }
}

fn failed(progress: &Progress) -> String {
    match progress.failures {
        0 => String::new(),
        failures => format!(", {} failed", count_in_words(failures)),
    }
}

fn bar_of(percent: u64, columns: usize) -> String {
    let percent = usize::try_from(percent).expect("a percentage is small");
    let full = columns * percent / 100;
    let head = if full < columns { ">" } else { "" };
    let rest = columns - full - head.len();
    format!("[{}{head}{}]", "=".repeat(full), " ".repeat(rest))
}

/// All that is told here is ASCII: a byte, a column.
fn columns_of(text: &str) -> usize {
    text.len()
}

fn clipped(mut line: String, columns: usize) -> String {
    line.truncate(columns);
    line
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use annulet_fs::copy::{Progress, Totals};

    use super::Status;
    use crate::meter::Meter;

    fn status(bytes: u64, total: u64, is_complete: bool) -> Status {
        let mut progress = Progress::default();
        (progress.bytes, progress.files) = (bytes, 1203);
        let mut totals = Totals::default();
        (totals.bytes, totals.files, totals.is_complete) = (total, 4000, is_complete);
        let mut meter = Meter::new(Instant::now() - Duration::from_secs(1));
        Status::look(&mut meter, progress, totals)
    }

    #[test]
    fn a_bar_fits_every_terminal_and_says_what_matters_most_first() {
        for is_complete in [false, true] {
            for columns in 0..200 {
                let line = status(3 << 30, 12 << 30, is_complete).bar(columns);
                assert!(line.len() < columns.max(1), "{columns}: {line}");
                assert_eq!(line.contains('%'), is_complete && columns > 4, "{line}");
            }
        }
        let wide = status(3 << 30, 12 << 30, true).bar(100);
        assert!(wide.starts_with("[=") && wide.contains(" 25%"), "{wide}");
        assert!(
            wide.contains("3.00 GiB of 12.0 GiB") && wide.contains("1,203 files"),
            "{wide}"
        );
        assert!(status(3 << 30, 12 << 30, true).bar(40).contains(" left"));
        let mut failing = status(3 << 30, 12 << 30, true);
        failing.progress.failures = 3;
        let usual = failing.bar(80);
        assert!(
            usual.starts_with('[') && usual.contains("3 failed"),
            "{usual}"
        );
        let counted = status(3 << 30, 12 << 30, false).bar(80);
        assert!(
            counted.contains("of at least 12.0 GiB") && !counted.contains("left"),
            "{counted}"
        );
    }

    #[test]
    fn no_more_than_everything_is_ever_done() {
        assert!(status(13 << 30, 12 << 30, true).bar(80).contains("100%"));
        assert!(
            status(0, 0, true).bar(80).contains(" 30%"),
            "by files where there are no bytes"
        );
        let mut none = status(0, 0, true);
        none.totals.files = 0;
        assert!(!none.bar(80).contains('%'));
    }

    #[test]
    fn a_line_for_a_log_says_the_same_in_words() {
        let words = status(3 << 30, 12 << 30, true).words();
        assert!(
            words.starts_with("25%, 3.00 GiB of 12.0 GiB, 1,203 files, 3."),
            "{words}"
        );
        assert!(words.contains("GiB/s, 0:0"), "{words}");
        assert!(status(5, 0, false).words().starts_with("5 B, 1,203 files"));
    }
}
