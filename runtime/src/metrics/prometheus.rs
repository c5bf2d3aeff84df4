//! Readings as text for Prometheus (its exposition format 0.0.4).
//!
//! The format wants everything of one metric in one place, so several shards are written together,
//! metric by metric, and told apart by the label `shard`. Times are in seconds. A histogram has few
//! bounds of its own, [`BOUNDS_NS`]: what is kept is much finer, and a duration within 3 % below a
//! bound may be counted above it.

use std::fmt::{self, Write};
use std::time::Duration;

use super::counter::{DriverStats, LoopStats, TaskStats};
use super::histogram::Distribution;
use super::reading::Metrics;

/// The bounds of the buckets of a histogram.
const BOUNDS_NS: [u64; 14] = [
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

impl Metrics {
    /// This reading as text for Prometheus (its exposition format 0.0.4), with a label `shard` of
    /// the given name on every line.
    ///
    /// For several shards see [`Shards::prometheus`](crate::Shards::prometheus), as the format
    /// wants the lines of one metric together.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = annulet_runtime::Builder::new().build()?;
    /// let text = runtime.metrics().prometheus("0");
    /// assert!(text.contains("annulet_task_polls_total{shard=\"0\"} 0\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn prometheus(&self, shard: &str) -> String {
        exposition(&[(shard, self)])
    }
}

/// What is shown of a reading.
type Pick = fn(&Metrics) -> &Distribution;

/// The readings of several shards, each with its name.
pub(crate) fn exposition(shards: &[(&str, &Metrics)]) -> String {
    let mut text = String::new();
    write(&mut text, shards).expect("a String takes everything");
    text
}

fn write(to: &mut String, shards: &[(&str, &Metrics)]) -> fmt::Result {
    let labelled: Vec<(String, &Metrics)> = shards
        .iter()
        .map(|&(shard, metrics)| (label("shard", shard), metrics))
        .collect();
    let shards = &labelled;
    counters(to, "task", TaskStats::texts(), shards, |of| of.tasks.iter())?;
    counters(to, "driver", DriverStats::texts(), shards, |of| {
        of.driver.iter()
    })?;
    counters(to, "loop", LoopStats::texts(), shards, |of| of.turns.iter())?;
    head(to, "annulet_tasks", "gauge", "Tasks alive.")?;
    for (shard, of) in shards {
        let alive = of.tasks.spawned.saturating_sub(of.tasks.completed);
        writeln!(to, "annulet_tasks{{{shard}}} {alive}")?;
    }
    classes(to, shards)?;
    let whole: [(&str, &str, Pick); 3] = [
        ("annulet_poll_seconds", "How long polls took.", |of| {
            &of.poll_time
        }),
        (
            "annulet_timer_lateness_seconds",
            "How late timers fired.",
            |of| &of.timer_lateness,
        ),
        (
            "annulet_hop_seconds",
            "How long messages from other threads were under way.",
            |of| &of.hop,
        ),
    ];
    for (name, text, pick) in whole {
        head(to, name, "histogram", text)?;
        for (shard, of) in shards {
            histogram(to, name, shard, pick(of))?;
        }
    }
    let name = "annulet_operation_seconds";
    head(
        to,
        name,
        "histogram",
        "How long operations took from submission to completion.",
    )?;
    for (shard, of) in shards {
        for (kind, times) in &of.operations {
            let labels = format!("{shard},{}", label("operation", kind));
            histogram(to, name, &labels, times)?;
        }
    }
    Ok(())
}

fn classes(to: &mut String, shards: &[(String, &Metrics)]) -> fmt::Result {
    let each =
        |to: &mut String, line: &mut dyn FnMut(&mut String, &str, usize, usize) -> fmt::Result| {
            for (at, (shard, of)) in shards.iter().enumerate() {
                for (index, class) in of.classes.iter().enumerate() {
                    let labels = format!("{shard},{}", label("class", class.name));
                    line(to, &labels, at, index)?;
                }
            }
            Ok(())
        };
    let name = "annulet_class_polls_total";
    head(to, name, "counter", "Polls of the tasks of a class.")?;
    each(to, &mut |to, labels, at, index| {
        writeln!(
            to,
            "{name}{{{labels}}} {}",
            shards[at].1.classes[index].polls
        )
    })?;
    let name = "annulet_class_busy_seconds_total";
    head(to, name, "counter", "Time spent in the polls of a class.")?;
    each(to, &mut |to, labels, at, index| {
        let busy = Seconds::of(shards[at].1.classes[index].busy);
        writeln!(to, "{name}{{{labels}}} {busy}")
    })?;
    let name = "annulet_schedule_delay_seconds";
    head(
        to,
        name,
        "histogram",
        "How long woken tasks waited for their poll.",
    )?;
    each(to, &mut |to, labels, at, index| {
        histogram(
            to,
            name,
            labels,
            &shards[at].1.classes[index].schedule_delay,
        )
    })
}

/// A set of counters; those named for nanoseconds become seconds.
fn counters<I: Iterator<Item = (&'static str, u64)>>(
    to: &mut String,
    part: &str,
    texts: impl Iterator<Item = &'static str>,
    shards: &[(String, &Metrics)],
    read: impl Fn(&Metrics) -> I,
) -> fmt::Result {
    let values: Vec<Vec<(&'static str, u64)>> =
        shards.iter().map(|(_, of)| read(of).collect()).collect();
    let Some(first) = values.first() else {
        return Ok(());
    };
    for (index, (&(counter, _), text)) in first.iter().zip(texts).enumerate() {
        let time = counter.strip_suffix("_ns");
        let name = match time {
            Some(what) => format!("annulet_{part}_{what}_seconds_total"),
            None => format!("annulet_{part}_{counter}_total"),
        };
        let text = text.trim().replace("Nanoseconds", "Time");
        head(to, &name, "counter", &text)?;
        for ((shard, _), values) in shards.iter().zip(&values) {
            let value = values[index].1;
            match time {
                Some(_) => writeln!(to, "{name}{{{shard}}} {}", Seconds(value))?,
                None => writeln!(to, "{name}{{{shard}}} {value}")?,
            }
        }
    }
    Ok(())
}

fn head(to: &mut String, name: &str, kind: &str, text: &str) -> fmt::Result {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    writeln!(to, "# HELP {name} {text}\n# TYPE {name} {kind}")
}

fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name}=\"{}\"", value.replace('\n', "\\n"))
}

fn histogram(to: &mut String, name: &str, labels: &str, times: &Distribution) -> fmt::Result {
    let mut buckets = times.buckets().peekable();
    let mut count = 0;
    for bound in BOUNDS_NS {
        while let Some((_, more)) =
            buckets.next_if(|(longest, _)| *longest <= Duration::from_nanos(bound))
        {
            count += more;
        }
        let bound = Seconds(bound);
        writeln!(to, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
    }
    let all = count + buckets.map(|(_, more)| more).sum::<u64>();
    writeln!(to, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}")?;
    writeln!(to, "{name}_sum{{{labels}}} {}", Seconds::of(times.sum()))?;
    writeln!(to, "{name}_count{{{labels}}} {all}")
}

/// Nanoseconds, written as seconds.
struct Seconds(u64);

impl Seconds {
    fn of(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS_NS, Seconds, exposition};
    use crate::metrics::{ClassMetrics, Meter, Metrics};
    use std::collections::{BTreeMap, BTreeSet};

    fn sample() -> Metrics {
        let meter = Meter::new();
        meter.tasks.polls.add(7);
        meter.tasks.spawned.add(5);
        meter.tasks.completed.add(3);
        meter.turns.busy_ns.add(1_250_000_000);
        [800, 900, 40_000, 2_000_000, 20_000_000_000]
            .iter()
            .for_each(|&ns| meter.poll_time.record(ns));
        meter.record_operation(1, meter.now());
        let mut metrics = meter.read(["nop", "re\"cv"].into_iter(), ["default"].into_iter());
        metrics.classes.push(ClassMetrics {
            name: "back\\ground",
            ..ClassMetrics::default()
        });
        metrics
    }

    /// A line as name, labels and value; the labels unescaped.
    fn parse(line: &str) -> (String, BTreeMap<String, String>, f64) {
        let (name, rest) = line.split_once('{').expect("all have labels");
        let (mut labels, mut chars) = (BTreeMap::new(), rest.chars());
        loop {
            let key: String = chars.by_ref().take_while(|&c| c != '=').collect();
            assert_eq!(chars.next(), Some('"'), "{line}");
            let mut value = String::new();
            loop {
                match chars.next().expect("a closing quote") {
                    '"' => break,
                    '\\' => value.push(chars.next().expect("something escaped")),
                    c => value.push(c),
                }
            }
            assert!(labels.insert(key, value).is_none(), "twice in {line}");
            match chars.next() {
                Some(',') => {}
                Some('}') => break,
                other => panic!("{other:?} in {line}"),
            }
        }
        let value = chars.as_str().trim().parse().expect(line);
        (name.to_owned(), labels, value)
    }

    #[test]
    fn each_metric_is_described_once_and_its_lines_stand_together() {
        let metrics = sample();
        let text = exposition(&[("a", &metrics), ("b\n", &metrics)]);
        assert!(text.ends_with('\n'));
        let (mut known, mut current) = (BTreeSet::new(), (String::new(), String::new()));
        let mut series = BTreeSet::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').expect("a text");
                assert!(
                    text.ends_with('.') && known.insert(name.to_owned()),
                    "{line}"
                );
                let kind = lines.next().expect("a type follows");
                let kind = kind.strip_prefix(&format!("# TYPE {name} "));
                current = (name.to_owned(), kind.expect("of the same").to_owned());
                continue;
            }
            let (name, labels, value) = parse(line);
            let base = if current.1 == "histogram" {
                let ends = ["_bucket", "_sum", "_count"];
                let end = ends.iter().find_map(|end| name.strip_suffix(end));
                end.expect("a part of a histogram").to_owned()
            } else {
                assert_eq!(name.ends_with("_total"), current.1 == "counter", "{line}");
                name.clone()
            };
            assert_eq!(base, current.0, "out of place: {line}");
            assert!(value >= 0.0 && labels.contains_key("shard"), "{line}");
            assert!(series.insert(line.rsplit_once(' ').expect("a value").0));
        }
        assert!(known.contains("annulet_loop_busy_seconds_total"));
        assert!(!text.contains("_ns"), "all times are in seconds");
    }

    #[test]
    fn the_values_are_those_of_the_reading() {
        let text = sample().prometheus("0");
        for line in [
            "annulet_task_polls_total{shard=\"0\"} 7",
            "annulet_tasks{shard=\"0\"} 2",
            "annulet_loop_busy_seconds_total{shard=\"0\"} 1.25",
            "annulet_poll_seconds_bucket{shard=\"0\",le=\"0.000001\"} 2",
            "annulet_poll_seconds_bucket{shard=\"0\",le=\"0.00005\"} 3",
            "annulet_poll_seconds_bucket{shard=\"0\",le=\"10\"} 4",
            "annulet_poll_seconds_bucket{shard=\"0\",le=\"+Inf\"} 5",
            "annulet_poll_seconds_sum{shard=\"0\"} 20.0020417",
            "annulet_poll_seconds_count{shard=\"0\"} 5",
            "annulet_operation_seconds_count{shard=\"0\",operation=\"re\\\"cv\"} 1",
            "annulet_class_polls_total{shard=\"0\",class=\"back\\\\ground\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn buckets_are_cumulative() {
        let mut last: BTreeMap<String, f64> = BTreeMap::new();
        let text = sample().prometheus("0");
        let buckets = text.lines().filter(|line| line.contains("_bucket{"));
        let mut count = 0;
        for line in buckets {
            let (series, _) = line.split_once("le=").expect("a bound");
            let (_, _, value) = parse(line);
            let before = last.insert(series.to_owned(), value).unwrap_or(0.0);
            assert!(value >= before, "{line}");
            count += 1;
        }
        assert_eq!(count, last.len() * (BOUNDS_NS.len() + 1));
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(Seconds(0).to_string(), "0");
        assert_eq!(Seconds(1).to_string(), "0.000000001");
        assert_eq!(Seconds(10_000_000_000).to_string(), "10");
        assert_eq!(Seconds(1_500_000_000).to_string(), "1.5");
    }
}
