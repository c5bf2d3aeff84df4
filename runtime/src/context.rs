//! The current runtime of this thread: what free functions such as [`spawn`] act on.
//!
//! Set while a runtime runs or is dropped, and nowhere else. Asking for it elsewhere gives a value
//! to handle ([`try_current`]) or a panic that says what is missing.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::rc::Rc;

use crate::driver::Driver;
use crate::executor::Executor;
use crate::locals::inherit_locals;
use crate::pool::Pool;
use crate::task::{Class, JoinHandle, spawn_here};

/// What the current runtime offers to the code inside it; clones are the same runtime's.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) executor: Rc<Executor>,
    pub(crate) driver: Driver,
    pub(crate) pool: Pool,
}

thread_local! {
    /// Never dropped, so that it is there for a runtime that is a value of its thread and ends with
    /// that. Empty whenever the thread is inside of none.
    static CURRENT: ManuallyDrop<RefCell<Option<Context>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// There is no runtime on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoRuntime;

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no annulet runtime runs on this thread; call this from within `block_on` or a task",
        )
    }
}

impl Error for NoRuntime {}

/// The runtime that this thread is inside of.
///
/// # Errors
///
/// [`NoRuntime`] outside of one.
pub fn try_current() -> Result<Context, NoRuntime> {
    CURRENT
        .with(|current| current.borrow().clone())
        .ok_or(NoRuntime)
}

impl Context {
    /// The runtime that this thread is inside of.
    ///
    /// # Panics
    ///
    /// Outside of one.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        try_current().unwrap_or_else(|missing| panic!("{missing}"))
    }

    /// Calls `f` with the runtime that this thread is inside of, without the cost of a clone. `f`
    /// must neither enter nor leave a runtime, nor run code of a user.
    #[track_caller]
    pub(crate) fn with<R>(f: impl FnOnce(&Self) -> R) -> R {
        CURRENT.with(|current| match &*current.borrow() {
            Some(context) => f(context),
            None => panic!("{NoRuntime}"),
        })
    }

    /// Its driver.
    #[must_use]
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Spawns a task on this runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the handle detaches the task, which goes on.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.executor.spawn(future, None, None, Location::caller())
    }

    /// Makes it the current runtime of this thread until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered {
        Entered {
            previous: CURRENT.with(|current| current.replace(Some(self.clone()))),
        }
    }
}

/// Restores the runtime before.
#[derive(Debug)]
pub(crate) struct Entered {
    previous: Option<Context>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ours = CURRENT.with(|current| current.replace(self.previous.take()));
        drop(ours);
    }
}

/// Spawns a task on the current shard.
///
/// It runs on this thread, with the other tasks in turn, and need not be `Send`. Dropping the
/// handle detaches it.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the handle detaches the task, which goes on.
///
/// # Examples
///
/// ```
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let task = annulet_runtime::spawn(async { "done" });
/// assert_eq!(task.await.expect("neither aborted nor panicked"), "done");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let Ok(handle) = spawn_here(future, Location::caller()) else {
        panic!("{NoRuntime}");
    };
    handle
}

/// Spawns a task with a name, which reports and listings show.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// As [`spawn`].
#[track_caller]
pub fn spawn_named<F: Future + 'static>(name: &str, future: F) -> JoinHandle<F::Output> {
    TaskBuilder::new().name(name).spawn(future)
}

/// A task that is being described: a name, a scheduling class, whether it inherits task-locals.
///
/// # Examples
///
/// ```
/// use annulet_runtime::TaskBuilder;
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let task = TaskBuilder::new().name("sum").spawn(async { 1 + 2 });
/// assert_eq!(task.name(), Some("sum"));
/// assert_eq!(task.await.expect("it neither panics nor is aborted"), 3);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a task exists once it is spawned"]
pub struct TaskBuilder<'a> {
    name: Option<&'a str>,
    class: Option<Class>,
    inherits: bool,
}

impl<'a> TaskBuilder<'a> {
    /// A task without a name, in the class of the task that spawns it.
    pub const fn new() -> Self {
        Self {
            name: None,
            class: None,
            inherits: false,
        }
    }

    /// A name, which reports and listings show.
    pub const fn name(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// The scheduling class; without this, that of the task that spawns it.
    pub const fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// Gives the task the task-locals that are set where it is spawned; see
    /// [`inherit_locals`](crate::locals::inherit_locals).
    pub const fn inherit_locals(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// Spawns the task on the current shard; see [`spawn`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`].
    #[track_caller]
    pub fn spawn<F: Future + 'static>(self, future: F) -> JoinHandle<F::Output> {
        let executor = Context::current().executor;
        let location = Location::caller();
        if self.inherits {
            executor.spawn(inherit_locals(future), self.name, self.class, location)
        } else {
            executor.spawn(future, self.name, self.class, location)
        }
    }
}
