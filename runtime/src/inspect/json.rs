//! A snapshot as JSON, on one line. Times are in nanoseconds, in whole numbers whose names say so.
//!
//! Histograms are written bucket by bucket, those in use only: whoever reads two snapshots
//! subtracts them, and has the quantiles of the time between.

use std::fmt::Write;
use std::time::Duration;

use super::snapshot::{Running, ShardSnapshot, Snapshot, Tasks};
use crate::metrics::Distribution;
use crate::task::{TaskInfo, TaskState};

/// JSON as it is written: values one after the other, with commas where they belong.
struct Writer {
    text: String,
    /// The next value is the first of its object or list.
    first: bool,
}

impl Writer {
    fn comma(&mut self) {
        if !self.first {
            self.text.push(',');
        }
        self.first = false;
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.quoted(key);
        self.text.push(':');
        self.first = true;
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                c if u32::from(c) < 0x20 => {
                    write!(self.text, "\\u{:04x}", u32::from(c))
                        .expect("a String takes everything");
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn between(&mut self, (open, close): (char, char), fill: impl FnOnce(&mut Self)) {
        self.comma();
        self.text.push(open);
        self.first = true;
        fill(self);
        self.text.push(close);
        self.first = false;
    }

    fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.between(('{', '}'), fill);
    }

    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut one: impl FnMut(&mut Self, T)) {
        self.between(('[', ']'), |json| {
            items.into_iter().for_each(|item| one(json, item));
        });
    }

    fn number(&mut self, number: u64) {
        self.comma();
        write!(self.text, "{number}").expect("a String takes everything");
    }

    fn string(&mut self, text: &str) {
        self.comma();
        self.quoted(text);
    }

    fn word(&mut self, word: &str) {
        self.comma();
        self.text.push_str(word);
    }

    fn pair(&mut self, key: &str, number: u64) {
        self.key(key);
        self.number(number);
    }

    fn pair_ns(&mut self, key: &str, time: Duration) {
        self.pair(key, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn pair_text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    fn pair_name(&mut self, name: Option<&str>) {
        self.key("name");
        match name {
            Some(name) => self.string(name),
            None => self.word("null"),
        }
    }
}

impl Snapshot {
    /// The snapshot as JSON on one line, as [`serve`](super::serve) gives it.
    ///
    /// Times are in nanoseconds. Histograms have their buckets in use, each as the longest duration
    /// in it and how many are. `tasks` is null for a shard that did not answer, and `unanswered`
    /// says then what is known.
    #[must_use]
    pub fn json(&self) -> String {
        let mut json = Writer {
            text: String::new(),
            first: true,
        };
        json.object(|json| {
            json.pair("version", 1);
            json.pair("process", u64::from(std::process::id()));
            json.key("shards");
            json.list(&self.shards, shard);
        });
        json.text
    }
}

fn shard(json: &mut Writer, shard: &ShardSnapshot) {
    let of = &shard.metrics;
    json.object(|json| {
        json.pair_text("name", &shard.name);
        json.pair_text("driver", &shard.driver.to_string());
        counters(json, "task", of.tasks.iter());
        counters(json, "driver_counters", of.driver.iter());
        counters(json, "loop", of.turns.iter());
        distribution(json, "poll_time", &of.poll_time);
        distribution(json, "schedule_delay", &of.schedule_delay);
        distribution(json, "timer_lateness", &of.timer_lateness);
        distribution(json, "hop", &of.hop);
        json.key("operations");
        json.object(|json| {
            for (name, times) in &of.operations {
                distribution(json, name, times);
            }
        });
        json.key("classes");
        json.list(&of.classes, |json, class| {
            json.object(|json| {
                json.pair_text("name", class.name);
                json.pair("polls", class.polls);
                json.pair_ns("busy_ns", class.busy);
                distribution(json, "schedule_delay", &class.schedule_delay);
            });
        });
        match &shard.tasks {
            Tasks::Listed(tasks) => {
                json.key("tasks");
                json.list(tasks, task);
            }
            Tasks::Unanswered { waited, running } => {
                json.key("tasks");
                json.word("null");
                json.key("unanswered");
                json.object(|json| {
                    json.pair_ns("waited_ns", *waited);
                    if let Some(task) = running {
                        json.key("running");
                        on_stack(json, task);
                    }
                });
            }
        }
    });
}

fn counters(json: &mut Writer, key: &str, counters: impl Iterator<Item = (&'static str, u64)>) {
    json.key(key);
    json.object(|json| counters.for_each(|(name, value)| json.pair(name, value)));
}

fn distribution(json: &mut Writer, key: &str, times: &Distribution) {
    json.key(key);
    json.object(|json| {
        json.pair_ns("sum_ns", times.sum());
        json.pair_ns("max_ns", times.max());
        json.key("buckets");
        json.list(times.buckets(), |json, (longest, count)| {
            let ns = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
            json.list([ns, count], Writer::number);
        });
    });
}

fn task(json: &mut Writer, task: &TaskInfo) {
    json.object(|json| {
        if let Some(id) = task.meta.id() {
            json.pair("id", id.as_u64());
        }
        json.pair_name(task.meta.name());
        json.pair_text("location", &task.meta.location().to_string());
        let state = match task.state {
            TaskState::Running => "running",
            TaskState::Scheduled => "ready",
            TaskState::Idle => "waiting",
        };
        json.pair_text("state", state);
        json.pair_text("class", task.class.name());
        json.pair_ns("age_ns", task.age);
        json.pair("polls", u64::from(task.polls));
        json.pair_ns("busy_ns", task.busy);
        let operations = task.operations.iter().map(ToString::to_string);
        let waits = task.waits.iter().map(ToString::to_string);
        json.key("waits_for");
        json.list(operations.chain(waits), |json, text| json.string(&text));
    });
}

fn on_stack(json: &mut Writer, task: &Running) {
    json.object(|json| {
        json.pair("id", task.id.as_u64());
        json.pair_name(task.name.as_deref());
        json.pair_text("location", &task.location.to_string());
        json.key("all_the_while");
        json.word(if task.all_the_while { "true" } else { "false" });
    });
}
