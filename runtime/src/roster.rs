//! The shards of this process, for whoever looks at all of them: the watching thread, a dump on a
//! signal, the viewer's socket.
//!
//! A shard is on the roster from its making to its end. It is called by the name of its thread,
//! with a number behind it if another has that name already.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::driver::DriverKind;
use crate::executor::Remote;
use crate::panics::lock;

/// A shard, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) remote: Remote,
    /// Questions that it has not answered yet.
    pub(crate) questions: Arc<AtomicUsize>,
    name: String,
    driver: DriverKind,
}

impl Member {
    /// The name of its thread, and a number if that is another's too. No two have the same.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn driver(&self) -> DriverKind {
        self.driver
    }
}

static ROSTER: Mutex<Vec<Weak<Member>>> = Mutex::new(Vec::new());

fn roster() -> MutexGuard<'static, Vec<Weak<Member>>> {
    lock(&ROSTER)
}

/// Puts a shard on the roster.
pub(crate) fn enrol(remote: Remote, driver: DriverKind) -> Arc<Member> {
    let mut roster = roster();
    roster.retain(|member| member.strong_count() > 0);
    let others: Vec<Arc<Member>> = roster.iter().filter_map(Weak::upgrade).collect();
    let taken = |name: &str| others.iter().any(|member| member.name == name);
    let thread = remote.thread_name();
    let name = if taken(thread) {
        let mut names = (2..).map(|number| format!("{thread} ({number})"));
        names.find(|name| !taken(name))
    } else {
        None
    };
    let name = name.unwrap_or_else(|| thread.to_owned());
    let member = Arc::new(Member {
        remote,
        questions: Arc::default(),
        name,
        driver,
    });
    roster.push(Arc::downgrade(&member));
    drop(roster);
    member
}

/// All shards that are alive, by their names.
pub(crate) fn members() -> Vec<Arc<Member>> {
    let mut members: Vec<_> = roster().iter().filter_map(Weak::upgrade).collect();
    // The tenth shard comes after the ninth.
    members.sort_by(|one, other| {
        let key = |member: &Member| (member.name.len(), member.name.clone());
        key(one).cmp(&key(other))
    });
    members
}
