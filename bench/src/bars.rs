//! What the figures are to reach, and whether they do.
//!
//! A bar is a limit on one figure of one contender, most of them in relation to another contender
//! on the same case in the same run. It is printed as met or missed by the medians; what is within
//! the spread of the rounds is marked `~`, for then another run may say otherwise. Beside it stands
//! the best round against the best round, which says what both can do where something else, such as
//! a disk that throttles, was in the way.

use std::fmt::Write;

use crate::cases::memory::CONNECTION_BYTES;
use crate::report::Outcome;
use crate::stats::Summary;
use crate::turns;

/// A limit that a figure is to stay within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The case.
    pub case: &'static str,
    /// Who is to meet it.
    pub contender: &'static str,
    /// The figure, by its name in the JSON's medians.
    pub figure: &'static str,
    /// How much of it: of the reference's, or in the figure's own unit.
    pub limit: Limit,
    /// Whose figure the limit multiplies.
    pub reference: Option<&'static str>,
}

/// On which side of a value a figure is to stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Not above it.
    AtMost(f64),
    /// Not below it.
    AtLeast(f64),
}

use Limit::{AtLeast, AtMost};

impl Limit {
    const fn value(self) -> f64 {
        match self {
            AtMost(value) | AtLeast(value) => value,
        }
    }

    const fn sign(self) -> char {
        match self {
            AtMost(_) => '≤',
            AtLeast(_) => '≥',
        }
    }

    fn is_met_by(self, figure: f64) -> bool {
        match self {
            AtMost(value) => figure <= value,
            AtLeast(value) => figure >= value,
        }
    }

    /// The figure of the best round.
    const fn best(self, figures: &Summary) -> f64 {
        match self {
            AtMost(_) => figures.min,
            AtLeast(_) => figures.max,
        }
    }
}

const CPU: &str = "cpu_ns_per_op";
const RATE: &str = "per_second";
const P50: &str = "p50_ns";
const P99: &str = "p99_ns";

/// Every bar on what `compare` measures.
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
        bar(case, "uring", CPU, AtMost(1.04), Some("floor"));
        bar(case, "poll", CPU, AtMost(1.06), Some("floor-epoll"));
    }
    for case in ["http/1", "http/50", "http/500"] {
        for contender in ["uring", "poll"] {
            bar(case, contender, CPU, AtMost(1.0), Some("peer-tokio"));
            bar(case, contender, P99, AtMost(1.0), Some("peer-tokio"));
        }
    }
    for case in ["file_read/hot-depth-32", "file_read/direct-depth-32"] {
        bar(case, "uring", RATE, AtLeast(0.95), Some("floor"));
    }
    let hot = "file_read/hot-depth-1";
    bar(hot, "uring", CPU, AtMost(1.0), Some("floor"));
    for case in ["file_read/hot-depth-1", "file_read/hot-depth-32"] {
        bar(case, "uring", RATE, AtLeast(7.0), Some("peer-tokio"));
    }
    let (direct, pread) = ("file_read/direct-depth-32", Some("peer-tokio-pread"));
    bar(direct, "uring", RATE, AtLeast(1.3), pread);
    bar(direct, "uring", CPU, AtMost(1.0 / 3.0), pread);
    for case in [
        "file_write/buffered-depth-1",
        "file_write/buffered-depth-32",
    ] {
        for contender in ["uring", "poll"] {
            bar(case, contender, CPU, AtMost(1.5), Some("floor-pread"));
        }
    }
    for case in ["write_back/depth-1", "write_back/depth-32"] {
        for contender in ["uring", "poll"] {
            for figure in [turns::P9999_US, turns::BLOCKED_MAX_US] {
                bar(case, contender, figure, AtMost(1000.0), None);
            }
        }
    }
    bar("http/1", "uring-spin", P50, AtMost(0.5), Some("peer-tokio"));
    for contender in ["uring", "poll"] {
        let (case, bytes) = ("memory/idle-connections", AtMost(1024.0));
        bar(case, contender, CONNECTION_BYTES, bytes, None);
    }
    bars
}

/// How a figure stands to its limit.
struct Standing {
    /// By the medians.
    median: f64,
    /// By the best rounds.
    best: f64,
    /// Whether the spread of the rounds reaches over the limit.
    in_doubt: bool,
}

impl Bar {
    /// Where the figure stands; `None` if something was not measured.
    fn stand(&self, outcomes: &[Outcome]) -> Option<Standing> {
        let limit = self.limit.value();
        let own = self.summary(outcomes, self.contender)?;
        let Some(reference) = self.reference else {
            return Some(Standing {
                median: own.median,
                best: self.limit.best(&own),
                in_doubt: own.min <= limit && limit <= own.max,
            });
        };
        let other = self.summary(outcomes, reference)?;
        let at_the_limit = Summary {
            median: other.median * limit,
            min: other.min * limit,
            max: other.max * limit,
        };
        let median = own.median / other.median;
        median.is_finite().then(|| Standing {
            median,
            best: self.limit.best(&own) / self.limit.best(&other),
            in_doubt: own.overlaps(&at_the_limit),
        })
    }

    fn summary(&self, outcomes: &[Outcome], contender: &str) -> Option<Summary> {
        let outcome = outcomes
            .iter()
            .find(|outcome| outcome.case == self.case && outcome.contender == contender)?;
        outcome.summaries().get(self.figure).copied()
    }

    /// Its line, if what it takes was measured.
    fn line(&self, outcomes: &[Outcome]) -> Option<String> {
        let Standing {
            median,
            best,
            in_doubt,
        } = self.stand(outcomes)?;
        let met = self.limit.is_met_by(median);
        let verdict = if met { "met" } else { "missed" };
        let doubt = if in_doubt { "~" } else { "" };
        let (case, contender, figure) = (self.case, self.contender, self.figure);
        let (decimals, of) = match self.reference {
            Some(reference) => (2, format!(" × {reference}")),
            None => (0, String::new()),
        };
        let (sign, limit) = (self.limit.sign(), self.limit.value());
        Some(format!(
            "{case:<28} {contender:<10} {figure:<17} {median:.decimals$} {sign} \
             {limit:.decimals$}{of}: {doubt}{verdict}, best {best:.decimals$}"
        ))
    }
}

/// One line per bar whose figures were measured, under a heading; nothing if there is none.
#[must_use]
pub fn lines(bars: &[Bar], outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for line in bars.iter().filter_map(|bar| bar.line(outcomes)) {
        if text.is_empty() {
            text.push_str("bars (medians; ~ within the spread; best rounds)\n");
        }
        writeln!(text, "{line}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Bar, Limit, all, lines};
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
            lines(&all(), &[floor.clone(), own])
        };
        let ends = |cpu_ns: &[f64], end: &str| {
            let text = judged(cpu_ns);
            assert!(text.ends_with(end), "{text}");
        };
        ends(&[90.0], "0.89 ≤ 1.04 × floor: met, best 0.90\n");
        ends(&[105.0], ": ~met, best 1.05\n");
        ends(&[105.9], ": ~missed, best 1.06\n");
        ends(&[120.0, 110.0], ": missed, best 1.10\n");
    }

    #[test]
    fn a_figure_that_is_to_be_high_is_judged_from_below_and_its_best_round_is_the_highest() {
        let bar = Bar {
            case: "echo/50x64",
            contender: "uring",
            figure: "per_cpu_second",
            limit: Limit::AtLeast(2.0),
            reference: Some("floor"),
        };
        let floor = outcome("echo/50x64", "floor", &[100.0, 80.0]);
        let judged = |cpu_ns: &[f64]| {
            let own = outcome("echo/50x64", "uring", cpu_ns);
            lines(&[bar], &[floor.clone(), own])
        };
        let text = judged(&[25.0, 40.0]);
        assert!(
            text.ends_with("2.89 ≥ 2.00 × floor: ~met, best 3.20\n"),
            "{text}"
        );
        let text = judged(&[80.0, 80.0]);
        assert!(text.ends_with(": missed, best 1.00\n"), "{text}");
    }

    #[test]
    fn a_bar_without_a_reference_is_judged_in_its_own_unit() {
        let mut held = outcome("memory/idle-connections", "uring", &[0.0]);
        held.rounds[0].extra.insert(CONNECTION_BYTES.into(), 1025.0);
        let text = lines(&all(), &[held.clone()]);
        assert!(text.contains("1025 ≤ 1024: missed"), "{text}");
        held.rounds[0].extra.insert(CONNECTION_BYTES.into(), 900.0);
        assert!(lines(&all(), &[held]).contains("900 ≤ 1024: met"));
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let alone = outcome("echo/50x64", "uring", &[1.0]);
        assert_eq!(lines(&all(), &[alone]), "");
        assert_eq!(lines(&all(), &[]), "");
    }
}
