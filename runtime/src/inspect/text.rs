//! A snapshot as text for people: a line for each shard, and one for each task.

use std::fmt;

use super::snapshot::{Running, ShardSnapshot, Snapshot, Tasks};

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.shards.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} shard{plural} in process {}", std::process::id())?;
        for shard in &self.shards {
            write!(f, "\n{shard}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ShardSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.name, self.driver)?;
        match &self.tasks {
            Tasks::Listed(tasks) => write!(f, "{} tasks", tasks.len())?,
            Tasks::Unanswered { waited, running } => {
                write!(f, "no answer in {waited:.1?}; ")?;
                match running {
                    Some(running) => write!(f, "{running}")?,
                    None => f.write_str("no task is on its stack")?,
                }
            }
        }
        let of = &self.metrics;
        write!(
            f,
            "; busy {:.1} %, {} polls, {} completed, {} stalls",
            of.utilisation() * 100.0,
            of.tasks.polls,
            of.tasks.completed,
            of.turns.stalls,
        )?;
        for (what, times) in [("poll", &of.poll_time), ("delay", &of.schedule_delay)] {
            let (half, most) = (times.quantile(0.5), times.quantile(0.99));
            write!(f, "; {what} p50 {half:.1?} p99 {most:.1?}")?;
            write!(f, " max {:.1?}", times.max())?;
        }
        if let Tasks::Listed(tasks) = &self.tasks {
            for task in tasks {
                write!(f, "\n  {task}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " spawned at {} is being polled", self.location)?;
        if self.all_the_while {
            f.write_str(" all the while")?;
        }
        Ok(())
    }
}
