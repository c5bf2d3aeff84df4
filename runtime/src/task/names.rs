//! The names of tasks, for threads that know only an id.
//!
//! Most tasks have none, and those that have are few and live long: a map under a lock, touched
//! when a task with a name is spawned and when its cell is freed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::meta::TaskId;
use crate::panics::lock;

fn names() -> MutexGuard<'static, HashMap<TaskId, Arc<str>>> {
    static NAMES: OnceLock<Mutex<HashMap<TaskId, Arc<str>>>> = OnceLock::new();
    lock(NAMES.get_or_init(Mutex::default))
}

/// A name, for as long as this lives.
#[derive(Debug)]
pub(super) struct Name {
    id: TaskId,
    text: Arc<str>,
}

impl Name {
    pub(super) fn new(id: TaskId, text: &str) -> Self {
        let text: Arc<str> = Arc::from(text);
        names().insert(id, Arc::clone(&text));
        Self { id, text }
    }

    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        names().remove(&self.id);
    }
}

/// The name of a task that is alive.
pub(crate) fn name_of(id: TaskId) -> Option<Arc<str>> {
    names().get(&id).cloned()
}
