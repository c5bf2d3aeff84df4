//! What the figures are to reach, and whether they do.
//!
//! A bar is a limit on one figure of one contender, most of them in relation to another contender
//! on the same case in the same run. It is printed as met or missed by the medians; what is within
//! the spread of the rounds is marked `~`, for then another run may say otherwise.

use std::fmt::Write;

use crate::cases::memory::CONNECTION_BYTES;
use crate::report::Outcome;
use crate::stats::Summary;

/// A limit that a figure is to stay within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The case.
    pub case: &'static str,
    /// Who is to meet it.
    pub contender: &'static str,
    /// The figure, by its name in the JSON's medians.
    pub figure: &'static str,
    /// How much of it at most: of the reference's, or in the figure's own unit.
    pub limit: f64,
    /// Whose figure the limit multiplies.
    pub reference: Option<&'static str>,
}

const CPU: &str = "cpu_ns_per_op";
const P50: &str = "p50_ns";
const P99: &str = "p99_ns";

/// Every bar.
#[must_use]
pub fn all() -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut bar = |case, contender, figure, limit, reference| {
        bars.push(Bar {
            case,
            contender,
            figure,
            limit,
            reference,
        });
    };
    let echoes = [
        "echo/50x64",
        "echo/500x64",
        "echo/50x16384",
        "echo/50x64-pipeline-16",
    ];
    for case in echoes {
        bar(case, "uring", CPU, 1.04, Some("floor"));
        bar(case, "poll", CPU, 1.06, Some("floor-epoll"));
    }
    for case in ["http/1", "http/50", "http/500"] {
        for contender in ["uring", "poll"] {
            bar(case, contender, CPU, 1.0, Some("peer-tokio"));
            bar(case, contender, P99, 1.0, Some("peer-tokio"));
        }
    }
    // 0.95 of the floor's reads a second, in CPU time of each.
    bar("file_read/hot-depth-32", "uring", CPU, 1.05, Some("floor"));
    bar("file_read/hot-depth-1", "uring", CPU, 1.0, Some("floor"));
    for case in [
        "file_write/buffered-depth-1",
        "file_write/buffered-depth-32",
    ] {
        for contender in ["uring", "poll"] {
            bar(case, contender, CPU, 1.5, Some("floor-pread"));
        }
    }
    bar("http/1", "uring-spin", P50, 0.5, Some("peer-tokio"));
    for contender in ["uring", "poll"] {
        bar(
            "memory/idle-connections",
            contender,
            CONNECTION_BYTES,
            1024.0,
            None,
        );
    }
    bars
}

impl Bar {
    /// Where the figure stands, and the same of the best rounds; `None` if something was not
    /// measured.
    fn stand(&self, outcomes: &[Outcome]) -> Option<(f64, bool)> {
        let own = self.summary(outcomes, self.contender)?;
        let Some(reference) = self.reference else {
            let in_doubt = own.min <= self.limit && self.limit <= own.max;
            return Some((own.median, in_doubt));
        };
        let other = self.summary(outcomes, reference)?;
        let at_the_limit = Summary {
            median: other.median * self.limit,
            min: other.min * self.limit,
            max: other.max * self.limit,
        };
        let ratio = own.median / other.median;
        ratio
            .is_finite()
            .then_some((ratio, own.overlaps(&at_the_limit)))
    }

    fn summary(&self, outcomes: &[Outcome], contender: &str) -> Option<Summary> {
        let outcome = outcomes
            .iter()
            .find(|outcome| outcome.case == self.case && outcome.contender == contender)?;
        outcome.summaries().get(self.figure).copied()
    }

    /// Its line, if what it takes was measured.
    fn line(&self, outcomes: &[Outcome]) -> Option<String> {
        let (stands_at, in_doubt) = self.stand(outcomes)?;
        let verdict = if stands_at <= self.limit {
            "met"
        } else {
            "missed"
        };
        let doubt = if in_doubt { "~" } else { "" };
        let (case, contender, figure) = (self.case, self.contender, self.figure);
        let (decimals, of) = match self.reference {
            Some(reference) => (2, format!(" × {reference}")),
            None => (0, String::new()),
        };
        let limit = self.limit;
        Some(format!(
            "{case:<24} {contender:<10} {figure:<17} {stands_at:.decimals$} ≤ {limit:.decimals$}{of}: {doubt}{verdict}"
        ))
    }
}

/// One line per bar whose figures were measured, under a heading; nothing if there is none.
#[must_use]
pub fn lines(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for line in all().iter().filter_map(|bar| bar.line(outcomes)) {
        if text.is_empty() {
            text.push_str("bars (medians; ~ within the spread)\n");
        }
        writeln!(text, "{line}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{all, lines};
    use crate::cases::memory::CONNECTION_BYTES;
    use crate::cases::{Settings, find};
    use crate::contender;
    use crate::recorder::Figures;
    use crate::report::Outcome;

    fn outcome(case: &str, contender: &str, cpu_ns: &[f64]) -> Outcome {
        let case = find(case, &Settings::default()).unwrap();
        let mut outcome = Outcome::new(&case, contender);
        for &cpu_ns_per_op in cpu_ns {
            outcome.rounds.push(Figures {
                cpu_ns_per_op,
                ..Figures::default()
            });
        }
        outcome
    }

    #[test]
    fn bars_name_cases_and_contenders_that_take_part() {
        for bar in all() {
            let case = find(bar.case, &Settings::default()).expect(bar.case);
            for name in std::iter::once(bar.contender).chain(bar.reference) {
                let contender = contender::find(name).expect(name);
                assert!(contender.offers(&case.work), "{name} on {}", bar.case);
            }
        }
    }

    #[test]
    fn a_bar_is_met_missed_or_in_doubt() {
        let floor = outcome("echo/50x64", "floor", &[100.0, 102.0]);
        let judged = |cpu_ns: &[f64]| {
            let own = outcome("echo/50x64", "uring", cpu_ns);
            lines(&[floor.clone(), own])
        };
        assert!(judged(&[90.0]).ends_with(": met\n"));
        assert!(
            judged(&[105.0]).ends_with(": ~met\n"),
            "{}",
            judged(&[105.0])
        );
        assert!(judged(&[105.9]).ends_with(": ~missed\n"));
        assert!(judged(&[120.0]).ends_with(": missed\n"));
    }

    #[test]
    fn a_bar_without_a_reference_is_judged_in_its_own_unit() {
        let mut held = outcome("memory/idle-connections", "uring", &[0.0]);
        held.rounds[0].extra.insert(CONNECTION_BYTES.into(), 1025.0);
        let text = lines(&[held.clone()]);
        assert!(text.contains("1025 ≤ 1024: missed"), "{text}");
        held.rounds[0].extra.insert(CONNECTION_BYTES.into(), 900.0);
        assert!(lines(&[held]).contains("900 ≤ 1024: met"));
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(lines(&[outcome("echo/50x64", "uring", &[1.0])]), "");
        assert_eq!(lines(&[]), "");
    }
}
