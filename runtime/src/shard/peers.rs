//! What a shard knows of the others: handles to all, in a place of its thread.
//!
//! A runtime that is alone has no such place, and counts as the first of one shard.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::sync::Arc;

use super::{Call, Handle, ShardError, ShardId};
use crate::context::Context;
use crate::task::RemoteJoinHandle;

/// All shards, and which of them this is.
#[derive(Clone)]
pub(super) struct Peers {
    pub(super) own: ShardId,
    pub(super) handles: Arc<[Handle]>,
    /// In the order of the shards; none where they are not pinned.
    pub(super) cpus: Arc<[usize]>,
}

thread_local! {
    /// Never dropped, so that the thread's other values may ask as they are dropped with it. Empty
    /// whenever the thread is no shard.
    static PEERS: ManuallyDrop<RefCell<Option<Peers>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Calls `f` with the peers of this thread, if it is a shard.
fn with<R>(f: impl FnOnce(Option<&Peers>) -> R) -> R {
    PEERS.with(|peers| f(peers.borrow().as_ref()))
}

/// Makes these the peers of the thread until the guard is dropped.
pub(super) fn enter(peers: Peers) -> Entered {
    PEERS.with(|place| place.replace(Some(peers)));
    Entered(())
}

/// Forgets the peers.
#[derive(Debug)]
pub(super) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        let peers = PEERS.with(|place| place.take());
        drop(peers);
    }
}

/// Handles to all shards; to the current runtime if that is alone.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub(super) fn handles() -> Arc<[Handle]> {
    let peers = with(|peers| peers.map(|peers| Arc::clone(&peers.handles)));
    peers.unwrap_or_else(|| {
        let remote = Context::current().executor.remote();
        Arc::new([Handle::new(remote)])
    })
}

/// How many shards run beside and including this one; one outside of [`Shards`](super::Shards).
#[must_use]
pub fn shards() -> usize {
    with(|peers| peers.map_or(1, |peers| peers.handles.len()))
}

/// The CPUs that the shards are pinned to, in the order of the shards; none where they are not, as
/// when there are more shards than CPUs.
#[must_use]
pub fn shard_cpus() -> Vec<usize> {
    with(|peers| peers.map_or_else(Vec::new, |peers| peers.cpus.to_vec()))
}

/// Which shard this thread is; the first on a runtime that is alone, and outside of any.
#[must_use]
pub fn this_shard() -> ShardId {
    with(|peers| peers.map_or(ShardId(0), |peers| peers.own))
}

/// Spawns on another shard of this runtime; see [`Handle::spawn`].
///
/// # Panics
///
/// If there is no such shard, or the thread is no shard's.
///
/// # Cancel safety
///
/// Dropping the handle detaches the task, which goes on.
#[track_caller]
pub fn spawn_on<M, F>(shard: ShardId, make: M) -> RemoteJoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let handle = with(|peers| {
        let peers = peers.expect("spawn_on needs a shard started by `Builder::start`");
        peers.handles.get(shard.0).cloned()
    });
    match handle {
        Some(handle) => handle.spawn(make),
        None => panic!("{shard} does not exist: there are {}", shards()),
    }
}

/// Sends the same work to all shards at once.
pub(super) fn call_all<M, F>(
    handles: &[Handle],
    make: &M,
    location: &'static Location<'static>,
) -> Vec<Call<F::Output>>
where
    M: Fn(ShardId) -> F + Clone + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let send = |(index, handle)| {
        let (make, shard) = (make.clone(), ShardId(index));
        Call::send(handle, shard, move || make(shard), location)
    };
    handles.iter().enumerate().map(send).collect()
}

/// Awaits all calls and folds their answers, in their order. All are waited for, even if one fails.
pub(super) async fn reduce_all<T, A>(
    calls: Vec<Call<T>>,
    init: A,
    mut reduce: impl FnMut(A, T) -> A,
) -> Result<A, ShardError> {
    let mut result = Ok(init);
    for call in calls {
        let answer = call.await;
        result = match (result, answer) {
            (Ok(before), Ok(answer)) => Ok(reduce(before, answer)),
            (Ok(_), Err(error)) | (Err(error), _) => Err(error),
        };
    }
    result
}

/// Runs a future of `make` on every shard and gives their outputs, in the order of the shards.
///
/// On a runtime that is alone, that is one future on this shard. The futures run beside each other
/// as tasks, and all are waited for.
///
/// # Errors
///
/// That of the first shard, in their order, whose task panicked or which has ended.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping it aborts the tasks: each future is dropped on its shard, where it had come to.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{Builder, ShardId, for_each_shard};
///
/// let shards = Builder::new().shards(2).start()?;
/// let squares = shards.run(|| for_each_shard(|ShardId(index)| async move { index * index }))?;
/// assert_eq!(squares?, [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn for_each_shard<M, F>(make: M) -> impl Future<Output = Result<Vec<F::Output>, ShardError>>
where
    M: Fn(ShardId) -> F + Clone + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let outputs = Vec::with_capacity(shards());
    map_reduce(make, outputs, |mut outputs, output| {
        outputs.push(output);
        outputs
    })
}

/// Runs a future of `map` on every shard and folds their outputs into one value, beginning with
/// `init`, in the order of the shards.
///
/// The futures run beside each other as tasks; `reduce` runs here, as their outputs come in.
///
/// # Errors
///
/// As [`for_each_shard`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// As [`for_each_shard`].
///
/// # Examples
///
/// ```
/// use annulet_runtime::{Builder, ShardId, map_reduce};
///
/// let shards = Builder::new().shards(2).start()?;
/// let sum = shards.run(|| map_reduce(|ShardId(index)| async move { index + 1 }, 0, |a, b| a + b))?;
/// assert_eq!(sum?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn map_reduce<M, F, A, R>(
    map: M,
    init: A,
    reduce: R,
) -> impl Future<Output = Result<A, ShardError>>
where
    M: Fn(ShardId) -> F + Clone + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
    R: FnMut(A, F::Output) -> A,
{
    let location = Location::caller();
    async move {
        let calls = call_all(&handles(), &map, location);
        reduce_all(calls, init, reduce).await
    }
}
