//! A token that says to many at once that they should stop, and tokens below it.
//!
//! # The tree
//!
//! A token is a pointer to a node; its clones share the node. A child's node keeps its parent
//! alive, so the way down from a token that is cancelled is unbroken as long as there is anybody to
//! reach. A parent only knows of its children, by weak pointers, each in a place that the child
//! gives back as it goes.
//!
//! A cell is never held while another is entered. To cancel is to mark a node, take its waiters and
//! its children, leave it, and go on with those; a child that is made meanwhile is entered in its
//! parent's cell before the mark, and is taken, or after it, and is cancelled from the start. All
//! waiters are woken at the end, when the whole tree is marked.
//!
//! Neither cancelling nor dropping is a recursion, so a tree may be as deep as memory allows.

use std::borrow::Borrow;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::kind::Kind;
use super::turn::{Queued, leave, poll_turn};
use super::waiters::{Place, WaitQueue, Wakes};
use crate::task::Wait;

/// Tells those who have a clone of it, or a child, that they should stop.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{spawn, sync::CancellationToken};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let server = CancellationToken::new();
/// let connection = server.child_token();
/// let task = spawn(async move {
///     let served = connection.run_until_cancelled(std::future::pending::<()>()).await;
///     served.is_none() // here is the place to clean up, asynchronously
/// });
/// server.cancel();
/// assert!(task.await?);
/// # Ok::<_, annulet_runtime::JoinError>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct CancellationToken<K: Kind> {
    node: K::Rc<Node<K>>,
}

struct Node<K: Kind> {
    state: K::Cell<State<K>>,
    /// And the place there that is this node's.
    parent: Option<(K::Rc<Self>, usize)>,
}

struct State<K: Kind> {
    cancelled: bool,
    queue: WaitQueue<()>,
    children: Children<K>,
}

/// More places are given back as soon as all are free.
const KEPT_MAX: usize = 1024;

/// Weak pointers, each in a place that stays its own until it is given back.
struct Children<K: Kind> {
    places: Vec<Option<K::Weak<Node<K>>>>,
    free: Vec<usize>,
}

impl<K: Kind> Children<K> {
    const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The place that the next child gets.
    fn next(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }

    fn remove(&mut self, at: usize) {
        self.places[at] = None;
        self.free.push(at);
        if self.free.len() == self.places.len() && self.places.len() > KEPT_MAX {
            *self = Self::new();
        }
    }
}

impl<K: Kind> Queued for State<K> {
    type Value = ();

    fn queue(&mut self) -> &mut WaitQueue<()> {
        &mut self.queue
    }
}

impl<K: Kind> State<K> {
    const fn new(cancelled: bool) -> Self {
        Self {
            cancelled,
            queue: WaitQueue::new(),
            children: Children::new(),
        }
    }

    /// Marks the node, and gives up its children.
    fn cancel(&mut self, wakes: &mut Wakes) -> Children<K> {
        self.cancelled = true;
        while let Some(waker) = self.queue.grant_front(|()| ()) {
            wakes.push(waker);
        }
        std::mem::replace(&mut self.children, Children::new())
    }
}

impl<K: Kind> Node<K> {
    const fn new(state: K::Cell<State<K>>, parent: Option<(K::Rc<Self>, usize)>) -> Self {
        Self { state, parent }
    }
}

impl<K: Kind> Drop for Node<K> {
    /// Leaves the parent, and goes on upward in its place if nothing else keeps that alive.
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some((parent, place)) = above {
            K::with(&parent.state, |state| {
                // A cancelled node has given up its children, and their places.
                if !state.cancelled {
                    state.children.remove(place);
                }
            });
            above = K::rc_into_inner(parent).and_then(|mut node| node.parent.take());
        }
    }
}

impl<K: Kind> CancellationToken<K> {
    /// A token that is not cancelled, and nobody's child.
    pub fn new() -> Self {
        Self {
            node: K::rc(Node::new(K::cell(State::new(false)), None)),
        }
    }

    /// A token that is cancelled with this one, and can be cancelled without it.
    #[must_use]
    pub fn child_token(&self) -> Self {
        let node = K::with(&self.node.state, |state| {
            if state.cancelled {
                return None;
            }
            let place = state.children.next();
            let parent = Some((self.node.clone(), place));
            let child = K::rc(Node::new(K::cell(State::new(false)), parent));
            state.children.places[place] = Some(K::downgrade(&child));
            Some(child)
        });
        Self {
            node: node.unwrap_or_else(|| K::rc(Node::new(K::cell(State::new(true)), None))),
        }
    }

    /// Cancels this token, and all below it. Who waits for that is woken. Done once, it is done for
    /// good.
    ///
    /// Nobody is woken before the whole tree is cancelled. Other threads may see a token cancelled,
    /// and for a moment one below it not yet.
    pub fn cancel(&self) {
        let mut wakes = Wakes::default();
        let mut marked = vec![self.node.clone()];
        while let Some(node) = marked.pop() {
            let children = K::with(&node.state, |state| state.cancel(&mut wakes));
            let children = children.places.into_iter().flatten().rev();
            marked.extend(children.filter_map(|child| K::upgrade(&child)));
        }
        wakes.wake();
    }

    /// Whether this token was cancelled, or one above it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        K::with(&self.node.state, |state| state.cancelled)
    }

    /// Waits until it is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken from anybody.
    pub fn cancelled(&self) -> Cancelled<K, &Self> {
        Cancelled::new(self)
    }

    /// As [`cancelled`](Self::cancelled), for a future that has the token itself.
    ///
    /// # Cancel safety
    ///
    /// As [`cancelled`](Self::cancelled).
    pub fn cancelled_owned(self) -> Cancelled<K, Self> {
        Cancelled::new(self)
    }

    /// Awaits `future`, until the token is cancelled: then gives `None`, and the future is dropped.
    /// A future is not polled once the token is cancelled, be it ready or not.
    ///
    /// # Cancel safety
    ///
    /// As safe as `future`, which is dropped where it stands.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut cancelled = self.cancelled();
        poll_fn(|cx| {
            if Pin::new(&mut cancelled).poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Cancels the token when the guard is dropped, in whatever way that comes about.
    #[must_use = "the token is cancelled as soon as the guard is dropped"]
    pub fn drop_guard(self) -> DropGuard<K> {
        DropGuard { token: Some(self) }
    }

    /// Tells whether the node is still there.
    #[cfg(all(test, not(loom)))]
    pub(super) fn weak_node(&self) -> K::Weak<impl Sized + use<K>> {
        K::downgrade(&self.node)
    }

    /// How many children its node knows of, and for how many it has places.
    #[cfg(all(test, not(loom)))]
    pub(super) fn children(&self) -> (usize, usize) {
        K::with(&self.node.state, |state| {
            let places = &state.children.places;
            (places.iter().flatten().count(), places.len())
        })
    }
}

impl<K: Kind> Clone for CancellationToken<K> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
        }
    }
}

impl<K: Kind> Default for CancellationToken<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> fmt::Debug for CancellationToken<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// The future of [`CancellationToken::cancelled`] and
/// [`cancelled_owned`](CancellationToken::cancelled_owned). `C` is a token, or a reference to one.
#[must_use = "futures do nothing until polled"]
pub struct Cancelled<K: Kind, C: Borrow<CancellationToken<K>>> {
    token: C,
    place: Option<Place>,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: Kind, C: Borrow<CancellationToken<K>>> Cancelled<K, C> {
    fn new(token: C) -> Self {
        Self {
            token,
            place: None,
            kind: std::marker::PhantomData,
        }
    }
}

impl<K: Kind, C: Borrow<CancellationToken<K>>> Unpin for Cancelled<K, C> {}

impl<K: Kind, C: Borrow<CancellationToken<K>>> Future for Cancelled<K, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let token = this.token.borrow();
        poll_turn::<K, _, _>(
            &token.node.state,
            &mut this.place,
            Wait::Cancellation,
            cx,
            |state| if state.cancelled { Ok(()) } else { Err(()) },
            |()| (),
        )
    }
}

impl<K: Kind, C: Borrow<CancellationToken<K>>> Drop for Cancelled<K, C> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            leave::<K, _>(&self.token.borrow().node.state, place, |_, _, _| ());
        }
    }
}

impl<K: Kind, C: Borrow<CancellationToken<K>>> fmt::Debug for Cancelled<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled")
            .field("token", self.token.borrow())
            .finish()
    }
}

/// Cancels a token when it is dropped. Made by [`CancellationToken::drop_guard`].
#[must_use = "the token is cancelled as soon as the guard is dropped"]
pub struct DropGuard<K: Kind> {
    /// None once it is disarmed.
    token: Option<CancellationToken<K>>,
}

impl<K: Kind> DropGuard<K> {
    /// Gives the token back, which is not cancelled then.
    #[expect(clippy::missing_panics_doc, reason = "a guard has its token")]
    pub fn disarm(mut self) -> CancellationToken<K> {
        self.token.take().expect("a guard is disarmed once")
    }
}

impl<K: Kind> Drop for DropGuard<K> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

impl<K: Kind> fmt::Debug for DropGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DropGuard")
            .field("token", &self.token)
            .finish()
    }
}
