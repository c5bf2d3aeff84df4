//! What is shown: a snapshot, and the difference between two.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The process at one time.
pub(crate) struct Snapshot {
    pub(crate) process: u64,
    at: Instant,
    shards: Vec<Shard>,
}

/// A shard at one time, its numbers counted from its start.
struct Shard {
    name: String,
    driver: String,
    counters: HashMap<String, u64>,
    poll: Histogram,
    delay: Histogram,
    operations: Histogram,
    tasks: Vec<Task>,
    stuck: Option<String>,
    /// A poll is on its stack, and it does not answer.
    held_up: bool,
}

/// Durations by the longest of their bucket, and the number of them.
#[derive(Default)]
struct Histogram(BTreeMap<u64, u64>);

#[derive(Clone)]
struct Task {
    id: u64,
    text: TaskText,
    age: Duration,
    polls: u64,
    busy: Duration,
}

/// What is said of a task beside numbers.
#[derive(Clone)]
pub(crate) struct TaskText {
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) state: String,
    pub(crate) waits: String,
}

/// Half of the durations are no longer than the first, all but one in a hundred than the second.
#[derive(Clone, Copy, Default)]
pub(crate) struct Quantiles {
    pub(crate) half: Duration,
    pub(crate) most: Duration,
}

/// The time between two snapshots, or from the start to the first.
pub(crate) struct Interval {
    pub(crate) process: u64,
    pub(crate) shards: Vec<ShardLine>,
    pub(crate) tasks: Vec<TaskLine>,
}

/// A shard during an interval.
pub(crate) struct ShardLine {
    pub(crate) name: String,
    pub(crate) driver: String,
    /// From 0 to 1.
    pub(crate) utilisation: f64,
    pub(crate) tasks: Option<usize>,
    pub(crate) polls: u64,
    pub(crate) stalls: u64,
    pub(crate) poll: Quantiles,
    pub(crate) delay: Quantiles,
    pub(crate) operations: Quantiles,
    /// What keeps it from answering.
    pub(crate) stuck: Option<String>,
}

/// A task during an interval.
#[derive(Clone)]
pub(crate) struct TaskLine {
    pub(crate) id: u64,
    pub(crate) shard: String,
    pub(crate) text: TaskText,
    /// From 0 to 1.
    pub(crate) share: f64,
    pub(crate) busy: Duration,
    pub(crate) polls: u64,
    pub(crate) age: Duration,
}

/// The order of the tasks, the largest first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Share,
    Busy,
    Polls,
    Age,
    Name,
}

impl Sort {
    pub(crate) const ALL: [Self; 5] = [Self::Share, Self::Busy, Self::Polls, Self::Age, Self::Name];

    /// The heading of its column.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Share => "BUSY%",
            Self::Busy => "BUSY",
            Self::Polls => "POLLS",
            Self::Age => "AGE",
            Self::Name => "TASK",
        }
    }

    /// The one so many places on, or back.
    pub(crate) fn moved(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|&sort| sort == self);
        let count = Self::ALL.len().cast_signed();
        let to = (at.unwrap_or(0).cast_signed() + by).rem_euclid(count);
        Self::ALL[to.cast_unsigned()]
    }

    fn compare(self, one: &TaskLine, other: &TaskLine) -> Ordering {
        let order = match self {
            Self::Share => other.share.total_cmp(&one.share),
            Self::Busy => other.busy.cmp(&one.busy),
            Self::Polls => other.polls.cmp(&one.polls),
            Self::Age => other.age.cmp(&one.age),
            Self::Name => one.text.name.cmp(&other.text.name),
        };
        // Tasks that are alike keep their places from one picture to the next.
        order
            .then(other.busy.cmp(&one.busy))
            .then(one.id.cmp(&other.id))
    }
}

impl Snapshot {
    /// Reads what the program has written.
    pub(crate) fn parse(json: &str) -> io::Result<Self> {
        let value: Value = serde_json::from_str(json).map_err(io::Error::other)?;
        let wrong = || io::Error::other("the program speaks another language");
        if value["version"] != 1 {
            return Err(value["error"].as_str().map_or_else(wrong, io::Error::other));
        }
        let shards = value["shards"].as_array().ok_or_else(wrong)?;
        Ok(Self {
            process: value["process"].as_u64().unwrap_or(0),
            at: Instant::now(),
            shards: shards.iter().map(Shard::parse).collect(),
        })
    }

    /// Keeps the tasks of shards that do not answer, as they were last seen.
    pub(crate) fn keep(&mut self, before: &Self) {
        let stuck = self.shards.iter_mut().filter(|shard| shard.stuck.is_some());
        for shard in stuck {
            let mut then = before.shards.iter();
            let Some(then) = then.find(|then| then.name == shard.name) else {
                continue;
            };
            shard.tasks.clone_from(&then.tasks);
            for task in &mut shard.tasks {
                task.text.state = "?".to_owned();
                task.text.waits.clear();
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn time(value: &Value) -> Duration {
    Duration::from_nanos(number(value))
}

impl Shard {
    fn parse(value: &Value) -> Self {
        let mut counters = HashMap::new();
        for part in ["task", "loop"] {
            for (name, value) in value[part].as_object().into_iter().flatten() {
                counters.insert(name.clone(), number(value));
            }
        }
        let mut operations = Histogram::default();
        for times in value["operations"].as_object().into_iter().flatten() {
            operations.add(times.1);
        }
        let tasks = value["tasks"].as_array().into_iter().flatten();
        let stuck = value["unanswered"].as_object().map(|unanswered| {
            let running = unanswered.get("running").map(|task| {
                let name = TaskText::parse(task);
                format!("{} spawned at {}", name.name, name.location)
            });
            running.unwrap_or_else(|| "no task is on its stack".to_owned())
        });
        Self {
            name: text(&value["name"]),
            driver: text(&value["driver"]),
            counters,
            poll: Histogram::parse(&value["poll_time"]),
            delay: Histogram::parse(&value["schedule_delay"]),
            operations,
            tasks: tasks.map(Task::parse).collect(),
            held_up: value["unanswered"]["running"].is_object(),
            stuck,
        }
    }

    fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// How much a counter has grown.
    fn grown(&self, name: &str, before: Option<&Self>) -> u64 {
        let before = before.map_or(0, |before| before.counter(name));
        self.counter(name).saturating_sub(before)
    }
}

impl TaskText {
    fn parse(value: &Value) -> Self {
        let waits = value["waits_for"].as_array().into_iter().flatten();
        let waits: Vec<&str> = waits.filter_map(Value::as_str).collect();
        let id = number(&value["id"]);
        let name = value["name"].as_str();
        Self {
            name: name.map_or_else(|| format!("task {id}"), ToOwned::to_owned),
            location: text(&value["location"]),
            state: text(&value["state"]),
            waits: waits.join(", "),
        }
    }
}

impl Task {
    fn parse(value: &Value) -> Self {
        Self {
            id: number(&value["id"]),
            text: TaskText::parse(value),
            age: time(&value["age_ns"]),
            polls: number(&value["polls"]),
            busy: time(&value["busy_ns"]),
        }
    }
}

impl Histogram {
    fn parse(value: &Value) -> Self {
        let mut histogram = Self::default();
        histogram.add(value);
        histogram
    }

    fn add(&mut self, value: &Value) {
        for bucket in value["buckets"].as_array().into_iter().flatten() {
            *self.0.entry(number(&bucket[0])).or_default() += number(&bucket[1]);
        }
    }

    /// Of what was recorded after another.
    fn quantiles(&self, before: Option<&Self>) -> Quantiles {
        let grown: Vec<(u64, u64)> = self
            .0
            .iter()
            .map(|(&longest, &count)| {
                let then = before.and_then(|before| before.0.get(&longest));
                (longest, count.saturating_sub(then.copied().unwrap_or(0)))
            })
            .collect();
        let all: u64 = grown.iter().map(|(_, count)| count).sum();
        let quantile = |hundredths: u64| {
            let rank = (all * hundredths).div_ceil(100).max(1);
            let mut seen = 0;
            let found = grown.iter().find(|(_, count)| {
                seen += count;
                seen >= rank
            });
            Duration::from_nanos(found.map_or(0, |&(longest, _)| longest))
        };
        Quantiles {
            half: quantile(50),
            most: quantile(99),
        }
    }
}

/// What part one is of another, from 0 to 1.
fn share(part: Duration, whole: Duration) -> f64 {
    (part.as_secs_f64() / whole.as_secs_f64().max(1e-9)).clamp(0.0, 1.0)
}

impl Interval {
    /// From the start of each shard and task to a snapshot.
    pub(crate) fn since_start(now: &Snapshot) -> Self {
        Self::of(now, None)
    }

    /// Between two snapshots.
    pub(crate) fn between(before: &Snapshot, now: &Snapshot) -> Self {
        // Another process at the same socket has nothing to do with the one before.
        let before = (before.process == now.process).then_some(before);
        Self::of(now, before)
    }

    fn of(now: &Snapshot, before: Option<&Snapshot>) -> Self {
        let length = before.map(|before| now.at - before.at);
        let (mut shards, mut tasks) = (Vec::new(), Vec::new());
        for shard in &now.shards {
            let then = before.and_then(|before| {
                let mut shards = before.shards.iter();
                shards.find(|then| then.name == shard.name)
            });
            let known: HashMap<u64, &Task> = then
                .iter()
                .flat_map(|then| &then.tasks)
                .map(|task| (task.id, task))
                .collect();
            let busy = Duration::from_nanos(shard.grown("busy_ns", then));
            let idle = Duration::from_nanos(shard.grown("idle_ns", then));
            shards.push(ShardLine {
                name: shard.name.clone(),
                driver: shard.driver.clone(),
                // A poll is booked when it is over.
                utilisation: if shard.held_up {
                    1.0
                } else {
                    share(busy, length.unwrap_or(busy + idle))
                },
                tasks: shard.stuck.is_none().then_some(shard.tasks.len()),
                polls: shard.grown("polls", then),
                stalls: shard.counter("stalls"),
                poll: shard.poll.quantiles(then.map(|then| &then.poll)),
                delay: shard.delay.quantiles(then.map(|then| &then.delay)),
                operations: shard
                    .operations
                    .quantiles(then.map(|then| &then.operations)),
                stuck: shard.stuck.clone(),
            });
            tasks.extend(shard.tasks.iter().map(|task| {
                let then = known.get(&task.id);
                let (busy, polls) =
                    then.map_or((Duration::ZERO, 0), |then| (then.busy, then.polls));
                TaskLine {
                    id: task.id,
                    shard: shard.name.clone(),
                    text: task.text.clone(),
                    share: share(task.busy.saturating_sub(busy), length.unwrap_or(task.age)),
                    busy: task.busy,
                    polls: task.polls.saturating_sub(polls),
                    age: task.age,
                }
            }));
        }
        Self {
            process: now.process,
            shards,
            tasks,
        }
    }

    /// The tasks in an order.
    pub(crate) fn sorted(&self, sort: Sort, backwards: bool) -> Vec<&TaskLine> {
        let mut tasks: Vec<&TaskLine> = self.tasks.iter().collect();
        tasks.sort_by(|one, other| {
            let order = sort.compare(one, other);
            if backwards { order.reverse() } else { order }
        });
        tasks
    }
}

/// A duration in three digits or so.
pub(crate) fn brief(time: Duration) -> String {
    let ns = time.as_nanos();
    match ns {
        0 => "-".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{:.1}µs", time.as_secs_f64() * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1}ms", time.as_secs_f64() * 1e3),
        1_000_000_000..60_000_000_000 => format!("{:.1}s", time.as_secs_f64()),
        _ => {
            let seconds = time.as_secs();
            format!("{}m{:02}s", seconds / 60, seconds % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Interval, Snapshot, Sort, brief};
    use std::time::Duration;

    /// A snapshot of one shard whose first task has been busy for so long.
    fn snapshot(busy_ns: u64, buckets: &str) -> Snapshot {
        let json = format!(
            r#"{{"version":1,"process":7,"shards":[{{"name":"annulet-0","driver":"uring",
            "task":{{"polls":{busy_ns}}},"loop":{{"busy_ns":{busy_ns},"idle_ns":900,"stalls":2}},
            "poll_time":{{"buckets":{buckets}}},"schedule_delay":{{"buckets":[]}},
            "operations":{{"recv":{{"buckets":[[10,1]]}},"send":{{"buckets":[[10,1],[20,2]]}}}},
            "tasks":[{{"id":5,"name":null,"location":"a.rs:1","state":"waiting","age_ns":1000,
            "polls":3,"busy_ns":{busy_ns},"waits_for":["recv on fd 3","a timer"]}},
            {{"id":6,"name":"quiet","location":"a.rs:2","state":"ready","age_ns":2000,
            "polls":1,"busy_ns":90,"waits_for":[]}}]}},
            {{"name":"annulet-1","tasks":null,"unanswered":{{"running":{{"id":9,"name":"hog",
            "location":"b.rs:1"}}}}}}]}}"#
        );
        Snapshot::parse(&json).expect("what programs write")
    }

    #[test]
    fn the_first_picture_counts_from_the_start() {
        let interval = Interval::since_start(&snapshot(100, "[[10,99],[5000,1]]"));
        let shard = &interval.shards[0];
        assert!((shard.utilisation - 0.1).abs() < 1e-9);
        assert_eq!(shard.poll.half, Duration::from_nanos(10));
        assert_eq!(shard.poll.most, Duration::from_nanos(10));
        assert_eq!(shard.operations.most, Duration::from_nanos(20));
        assert_eq!((shard.tasks, shard.stalls), (Some(2), 2));
        let task = &interval.tasks[0];
        assert_eq!((&*task.text.name, task.polls), ("task 5", 3));
        assert_eq!(task.text.waits, "recv on fd 3, a timer");
        let stuck = interval.shards[1].stuck.as_deref();
        assert_eq!(stuck, Some("hog spawned at b.rs:1"));
        assert_eq!(interval.shards[1].tasks, None);
    }

    #[test]
    fn later_pictures_show_what_came_since_the_one_before() {
        let before = snapshot(100, "[[10,100]]");
        let mut now = snapshot(50_000_100, "[[10,100],[5000,1]]");
        now.at = before.at + Duration::from_millis(100);
        let interval = Interval::between(&before, &now);
        assert!((interval.shards[0].utilisation - 0.5).abs() < 1e-9);
        assert!((interval.tasks[0].share - 0.5).abs() < 1e-9);
        assert_eq!(interval.tasks[0].polls, 0);
        assert_eq!(interval.shards[0].poll.half, Duration::from_nanos(5000));
        assert!((interval.shards[1].utilisation - 1.0).abs() < 1e-9);
        now.process = 8;
        assert_eq!(Interval::between(&before, &now).tasks[0].polls, 3);
    }

    #[test]
    fn tasks_of_a_shard_that_does_not_answer_are_shown_as_last_seen() {
        let before = snapshot(100, "[]");
        let mut now = snapshot(200, "[]");
        now.shards[0].stuck = Some("who knows".to_owned());
        now.shards[0].tasks.clear();
        now.keep(&before);
        let interval = Interval::between(&before, &now);
        assert_eq!(interval.tasks.len(), 2);
        assert_eq!(interval.tasks[0].text.state, "?");
        assert_eq!(interval.tasks[0].busy, Duration::from_nanos(100));
        assert_eq!(interval.shards[0].tasks, None);
    }

    #[test]
    fn tasks_are_sorted_by_any_column_and_either_way() {
        let interval = Interval::since_start(&snapshot(100, "[]"));
        let first = |sort, backwards| interval.sorted(sort, backwards)[0].id;
        assert_eq!(
            [first(Sort::Share, false), first(Sort::Share, true)],
            [5, 6]
        );
        assert_eq!([first(Sort::Busy, false), first(Sort::Age, false)], [5, 6]);
        assert_eq!(
            [first(Sort::Polls, false), first(Sort::Name, false)],
            [5, 6]
        );
        assert!(Sort::Share.moved(-1) == Sort::Name && Sort::Name.moved(1) == Sort::Share);
    }

    #[test]
    fn what_is_no_snapshot_is_an_error() {
        for json in [
            "",
            "[]",
            "{\"version\":2}",
            "{\"error\":\"too many clients\"}",
        ] {
            assert!(Snapshot::parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn durations_are_short_to_read() {
        let texts = [0, 999, 1_500, 2_340_000, 1_000_000_000, 61_000_000_000]
            .map(|ns| brief(Duration::from_nanos(ns)));
        assert_eq!(texts, ["-", "999ns", "1.5µs", "2.3ms", "1.0s", "1m01s"]);
    }
}
