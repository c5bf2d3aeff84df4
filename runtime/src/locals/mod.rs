//! Task-locals: values that are there for the code of one future, however deep, and for its
//! children on request.
//!
//! The values that are set at a point of the code are a chain of nodes, the innermost first. A
//! future made by [`LocalKey::scope`] puts its node before the chain that it finds whenever it is
//! polled, and takes it off afterwards; so a value is seen by what is polled inside, and by nothing
//! else. A child is polled by nobody but the executor and sees none of it, unless
//! [`inherit_locals`] has taken the chain along.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// One value, and those outside of it.
struct Node {
    /// The address of the key.
    key: usize,
    value: Rc<dyn Any>,
    outer: Chain,
}

type Chain = Option<Rc<Node>>;

thread_local! {
    /// Never dropped, so that the thread's other values may ask as they are dropped with it. Empty
    /// outside of any scope.
    static CURRENT: ManuallyDrop<RefCell<Chain>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// What is set here and now.
fn current() -> Chain {
    CURRENT.with(|current| current.borrow().clone())
}

/// Puts a chain in place; its drop puts the one before back.
struct Entered(Chain);

impl Entered {
    fn new(chain: Chain) -> Self {
        Self(CURRENT.with(|current| current.replace(chain)))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ours = CURRENT.with(|current| current.replace(self.0.take()));
        drop(ours);
    }
}

fn same(one: &Chain, other: &Chain) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Rc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Declares task-locals: `static` items of type [`LocalKey`].
///
/// # Examples
///
/// ```
/// annulet_runtime::task_local! {
///     /// Whose request is being served.
///     static USER: String;
/// }
///
/// async fn greeting() -> String {
///     USER.with(|user| format!("hello, {user}"))
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let greeting = USER.scope("ada".to_owned(), greeting()).await;
/// assert_eq!(greeting, "hello, ada");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty;)*) => {
        $(
            $(#[$attribute])*
            $visibility static $name: $crate::locals::LocalKey<$type> =
                $crate::locals::LocalKey::__new(::core::stringify!($name));
        )*
    };
}

/// A task-local, declared by [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    /// Also what gives the item a size, and so an address of its own.
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

/// The task-local has no value here: the code runs in no [`LocalKey::scope`] of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotSet {
    name: &'static str,
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the task-local {} has no value here", self.name)
    }
}

impl Error for NotSet {}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Runs `future` with the value set. What it spawns sees the value only by [`inherit_locals`].
    ///
    /// Within another scope of the same key, this value is the one that is seen.
    ///
    /// # Cancel safety
    ///
    /// As safe as `future`, which sees the value also while it is dropped.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> LocalScope<F> {
        LocalScope {
            future: Some(future),
            locals: Locals::Set {
                key: self.key(),
                value: Rc::new(value),
                chain: None,
            },
        }
    }

    /// Runs `code` with the value set.
    pub fn sync_scope<R>(&'static self, value: T, code: impl FnOnce() -> R) -> R {
        let chain = Rc::new(Node {
            key: self.key(),
            value: Rc::new(value),
            outer: current(),
        });
        let _entered = Entered::new(Some(chain));
        code()
    }

    /// Lends the value to `code`.
    ///
    /// # Panics
    ///
    /// Outside of any [`scope`](Self::scope) of it.
    #[track_caller]
    pub fn with<R>(&'static self, code: impl FnOnce(&T) -> R) -> R {
        match self.try_with(code) {
            Ok(output) => output,
            Err(missing) => panic!("{missing}"),
        }
    }

    /// Lends the value to `code`, if there is one.
    ///
    /// # Errors
    ///
    /// [`NotSet`] outside of any [`scope`](Self::scope) of it.
    pub fn try_with<R>(&'static self, code: impl FnOnce(&T) -> R) -> Result<R, NotSet> {
        // No borrow is held while `code` runs.
        let mut chain = CURRENT
            .try_with(|current| current.borrow().clone())
            .ok()
            .flatten();
        while let Some(node) = chain {
            if node.key == self.key()
                && let Some(value) = node.value.downcast_ref::<T>()
            {
                return Ok(code(value));
            }
            chain = node.outer.clone();
        }
        Err(NotSet { name: self.name })
    }

    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// Outside of any [`scope`](Self::scope) of it.
    #[must_use]
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }
}

/// What is in place while a future is polled.
enum Locals {
    /// One more value than outside; with the chain made for the last poll.
    Set {
        key: usize,
        value: Rc<dyn Any>,
        chain: Chain,
    },
    /// What was in place elsewhere.
    Taken(Chain),
}

impl Locals {
    fn enter(&mut self) -> Entered {
        match self {
            Self::Taken(chain) => Entered::new(chain.clone()),
            Self::Set { key, value, chain } => {
                let outside = CURRENT
                    .try_with(|current| current.borrow().clone())
                    .ok()
                    .flatten();
                let fits = chain
                    .as_ref()
                    .is_some_and(|node| same(&node.outer, &outside));
                if !fits {
                    *chain = Some(Rc::new(Node {
                        key: *key,
                        value: Rc::clone(value),
                        outer: outside,
                    }));
                }
                Entered::new(chain.clone())
            }
        }
    }
}

pin_project! {
    /// A future with task-locals. Made by [`LocalKey::scope`] and [`inherit_locals`].
    #[must_use = "futures do nothing until polled"]
    pub struct LocalScope<F> {
        #[pin]
        future: Option<F>,
        locals: Locals,
    }

    impl<F> PinnedDrop for LocalScope<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.locals.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for LocalScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.locals.enter();
        let future = this.future.as_pin_mut();
        future.expect("it is there until the drop").poll(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for LocalScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalScope")
            .field("future", &self.future)
            .finish_non_exhaustive()
    }
}

/// Runs `future` with the task-locals that are set here and now, wherever it is polled: as a child,
/// for one.
///
/// The values are shared and not copied. What is set here later is not seen.
///
/// # Cancel safety
///
/// As safe as `future`.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{inherit_locals, spawn, task_local};
///
/// task_local! {
///     static DEPTH: u32;
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let (alone, child) = DEPTH
///     .scope(3, async {
///         let alone = spawn(async { DEPTH.try_with(|depth| *depth).is_err() });
///         let child = spawn(inherit_locals(async { DEPTH.get() }));
///         (alone.await, child.await)
///     })
///     .await;
/// assert!(alone.expect("no panic"));
/// assert_eq!(child.expect("no panic"), 3);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn inherit_locals<F: Future>(future: F) -> LocalScope<F> {
    LocalScope {
        future: Some(future),
        locals: Locals::Taken(current()),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
