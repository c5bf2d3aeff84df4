//! Who is there, and what each waits for: the listing of a shard's tasks.
//!
//! The executor knows its tasks and the driver knows its operations; an operation knows its waker,
//! and a waker of ours knows its task. They are brought together here, when somebody asks, so that
//! nothing is kept for it while nobody does.

use std::collections::HashMap;

use crate::context::{Context, try_current};
use crate::task::{Awaited, TaskId, TaskInfo, task_of};

/// Every live task of the current shard, the oldest first; none outside of a runtime.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let stuck = annulet_runtime::spawn_named("stuck", std::future::pending::<()>());
/// annulet_runtime::yield_now().await;
/// let tasks = annulet_runtime::tasks();
/// assert!(tasks.iter().any(|task| task.meta.name() == Some("stuck")));
/// for task in tasks {
///     eprintln!("{task}");
/// }
/// # stuck.abort();
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn tasks() -> Vec<TaskInfo> {
    try_current().map_or_else(|_| Vec::new(), |context| tasks_of(&context))
}

/// Every live task of a shard, the oldest first.
pub(crate) fn tasks_of(context: &Context) -> Vec<TaskInfo> {
    let mut awaited: HashMap<TaskId, Vec<Awaited>> = HashMap::new();
    context
        .driver
        .for_each_waiter(|code, descriptor, age, waker| {
            if let Some(task) = task_of(waker) {
                let operation = Awaited::new(code.name(), descriptor, age);
                awaited.entry(task).or_default().push(operation);
            }
        });
    let mut tasks = Vec::new();
    context.executor.for_each_task(&mut |task| tasks.push(task));
    for task in &mut tasks {
        if let Some(operations) = task.meta.id().and_then(|id| awaited.remove(&id)) {
            task.operations = operations;
        }
    }
    tasks.sort_by_key(|task| task.meta.id());
    tasks
}
