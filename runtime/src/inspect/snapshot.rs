//! All shards of the process at one time.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::context::try_current;
use crate::driver::DriverKind;
use crate::dump::{tasks, tasks_of};
use crate::metrics::{Metrics, exposition};
use crate::roster::{Member, members};
use crate::runtime::read_meter;
use crate::shard::{ShardId, Shards};
use crate::task::{TaskId, TaskInfo, name_of};

/// Questions that a shard has not answered yet, at most: who is stuck for long is asked no more.
const QUESTIONS_MAX: usize = 8;

/// How long a shard with too many questions has, before it is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// All shards of the process at one time, as far as that can be: see [`snapshot`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// One for each, by name.
    pub shards: Vec<ShardSnapshot>,
}

/// One shard in a [`Snapshot`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShardSnapshot {
    /// What it is called: the name of its thread, with a number if another shard's has the same.
    pub name: String,
    /// Its driver.
    pub driver: DriverKind,
    /// What it has counted and measured since its start.
    pub metrics: Metrics,
    /// Its tasks.
    pub tasks: Tasks,
}

/// The tasks of a shard, or why they are not known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Tasks {
    /// Every live task, the oldest first.
    Listed(Vec<TaskInfo>),
    /// The shard did not answer in time.
    Unanswered {
        /// How long it was waited for.
        waited: Duration,
        /// The task whose poll was on its stack then.
        running: Option<Running>,
    },
}

/// The task whose poll is on the stack of a shard, as it is seen from outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Running {
    /// The task.
    pub id: TaskId,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// Whether it was this very poll all the while that the shard was waited for.
    pub all_the_while: bool,
}

/// Looks at every shard of the process, from any thread, and waits for their answers until
/// `patience` is over.
///
/// This blocks the calling thread for as long, so a task that calls it holds up its shard: better
/// to call it from a thread, or by [`spawn_blocking`](crate::spawn_blocking). The shard that it is
/// called on, if any, is not asked but looked at directly.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let shards = annulet_runtime::Builder::new().shards(2).start()?;
/// let snapshot = annulet_runtime::inspect::snapshot(Duration::from_secs(1));
/// assert!(snapshot.shards.len() >= 2);
/// println!("{snapshot}");
/// # drop(shards);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn snapshot(patience: Duration) -> Snapshot {
    let members = members();
    let started = Instant::now();
    let own = try_current().ok();
    let mut found: Vec<Option<Vec<TaskInfo>>> = vec![None; members.len()];
    let mut to_ask = Vec::with_capacity(members.len());
    let mut sights = Vec::with_capacity(members.len());
    for (index, member) in members.iter().enumerate() {
        sights.push(sight(member));
        let own = own.as_ref().filter(|own| {
            // A shard has one meter, and a meter one shard.
            Arc::ptr_eq(own.executor.meter(), member.remote.meter())
        });
        match own {
            Some(own) => found[index] = Some(tasks_of(own)),
            None => to_ask.push(index),
        }
    }
    ask_all(&members, to_ask, &mut found, started + patience);
    let waited = started.elapsed();
    let shards = members.iter().zip(sights).zip(found);
    let shards = shards.map(|((member, before), tasks)| ShardSnapshot {
        name: member.name().to_owned(),
        driver: member.driver(),
        metrics: read_meter(member.remote.meter()),
        tasks: match tasks {
            Some(tasks) => Tasks::Listed(tasks),
            None => Tasks::Unanswered {
                waited,
                running: running(member, before),
            },
        },
    });
    Snapshot {
        shards: shards.collect(),
    }
}

/// What is seen of a shard without asking it: how many polls there were, and which task's is on the
/// stack.
type Sight = (u64, Option<(TaskId, &'static Location<'static>)>);

fn sight(member: &Member) -> Sight {
    let polls = member.remote.meter().tasks.polls.value();
    (polls, member.remote.running())
}

fn running(member: &Member, before: Sight) -> Option<Running> {
    let after = sight(member);
    let (id, location) = after.1?;
    Some(Running {
        id,
        name: name_of(id),
        location,
        all_the_while: before == after,
    })
}

/// Asks shards for their tasks, and takes their answers until the deadline. A shard that has too
/// many questions before it is asked once it has answered one.
fn ask_all(
    members: &[Arc<Member>],
    mut to_ask: Vec<usize>,
    found: &mut [Option<Vec<TaskInfo>>],
    deadline: Instant,
) {
    let (answer, answers) = mpsc::channel();
    let mut answer = Some(answer);
    let mut missing = 0;
    loop {
        if let Some(sender) = &answer {
            to_ask.retain(|&index| match ask(&members[index], index, sender) {
                Asked::Yes => {
                    missing += 1;
                    false
                }
                Asked::Later => true,
                Asked::Ended => false,
            });
        }
        let mut wait = deadline.saturating_duration_since(Instant::now());
        if to_ask.is_empty() {
            // So that the end of all who were asked is the end of the answers.
            answer = None;
        } else {
            wait = wait.min(ASK_AGAIN_AFTER);
        }
        if missing == 0 && to_ask.is_empty() {
            return;
        }
        match answers.recv_timeout(wait) {
            Ok((index, tasks)) => {
                found[index] = Some(tasks);
                missing -= 1;
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What became of a question.
enum Asked {
    Yes,
    /// There are too many before it.
    Later,
    /// The shard has ended.
    Ended,
}

/// Asks a shard for its tasks.
fn ask(member: &Arc<Member>, index: usize, answer: &mpsc::Sender<(usize, Vec<TaskInfo>)>) -> Asked {
    let open = Arc::clone(&member.questions);
    // Relaxed, here and below: a number of questions, which publishes nothing.
    if open.fetch_add(1, Ordering::Relaxed) >= QUESTIONS_MAX {
        open.fetch_sub(1, Ordering::Relaxed);
        return Asked::Later;
    }
    let question = Question(open);
    let answer = answer.clone();
    let message = move || {
        // With nobody left who waits, the answer is for nobody.
        let _nobody = answer.send((index, tasks()));
        drop(question);
    };
    match member.remote.send(Box::new(message)) {
        Ok(()) => Asked::Yes,
        Err(_never_run) => Asked::Ended,
    }
}

/// Counted for as long as a shard has not answered it.
struct Question(Arc<AtomicUsize>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Snapshot {
    /// The counters and histograms of all shards as text for Prometheus (its exposition format
    /// 0.0.4), told apart by the label `shard`.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let shards = self.shards.iter();
        let shards: Vec<_> = shards.map(|shard| (&*shard.name, &shard.metrics)).collect();
        exposition(&shards)
    }
}

impl Shards {
    /// The counters and histograms of all shards as text for Prometheus (its exposition format
    /// 0.0.4), told apart by the label `shard`, which is their number. Asks nothing of the shards.
    ///
    /// # Examples
    ///
    /// ```
    /// let shards = annulet_runtime::Builder::new().shards(2).start()?;
    /// let text = shards.prometheus();
    /// assert!(text.contains("annulet_loop_parks_total{shard=\"1\"}"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn prometheus(&self) -> String {
        let handles = (0..self.count()).filter_map(|index| self.handle(ShardId(index)));
        let readings: Vec<(String, Metrics)> = handles
            .enumerate()
            .map(|(index, handle)| (index.to_string(), handle.metrics()))
            .collect();
        let readings: Vec<(&str, &Metrics)> = readings
            .iter()
            .map(|(name, metrics)| (&**name, metrics))
            .collect();
        exposition(&readings)
    }
}
