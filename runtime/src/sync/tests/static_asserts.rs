//! What may leave its thread, and what may be shared between threads: told by the compiler.
//!
//! `is!` compiles if a type has a trait. `is_not!` compiles only if it has not: were the trait
//! there, which of two methods is meant would be unclear.

use std::cell::Cell;
use std::sync::Arc;

use crate::sync::{self, shared};

macro_rules! is {
    ($bound:ident: $($type:ty),+ $(,)?) => {
        const _: () = {
            const fn has<T: ?Sized + $bound>() {}
            $(has::<$type>();)+
        };
    };
}

macro_rules! is_not {
    ($bound:ident: $($type:ty),+ $(,)?) => {
        const _: () = {
            trait Unclear<A> {
                fn which() {}
            }
            struct Has;
            impl<T: ?Sized> Unclear<()> for T {}
            impl<T: ?Sized + $bound> Unclear<Has> for T {}
            $(const _: fn() = <$type as Unclear<_>>::which;)+
        };
    };
}

/// May leave its thread, and may not be shared.
type Movable = Cell<u8>;
/// May neither.
type Stuck = std::rc::Rc<u8>;

// What has no value in it may go anywhere, and so may what has one that may leave its thread; a
// value that many read at once must be one that may be shared.
is!(Send:
    shared::Semaphore, shared::Permit<'static>, shared::OwnedPermit,
    shared::Event, shared::Notify, shared::Barrier, shared::Condition,
    shared::CancellationToken, shared::DropGuard,
    shared::Mutex<Movable>, shared::MutexGuard<'static, Movable>, shared::OwnedMutexGuard<Movable>,
    shared::RwLock<u8>, shared::RwLockReadGuard<'static, u8>, shared::OwnedRwLockReadGuard<u8>,
    shared::RwLockWriteGuard<'static, u8>, shared::OwnedRwLockWriteGuard<u8>,
    shared::OnceCell<Movable>,
);
is!(Sync:
    shared::Semaphore, shared::Permit<'static>, shared::OwnedPermit,
    shared::Event, shared::Notify, shared::Barrier, shared::Condition,
    shared::CancellationToken, shared::DropGuard,
    shared::Mutex<Movable>, shared::MutexGuard<'static, u8>, shared::OwnedMutexGuard<u8>,
    shared::RwLock<u8>, shared::RwLockReadGuard<'static, u8>, shared::OwnedRwLockReadGuard<u8>,
    shared::RwLockWriteGuard<'static, u8>, shared::OwnedRwLockWriteGuard<u8>,
    shared::OnceCell<u8>,
);
is_not!(Send:
    shared::Mutex<Stuck>, shared::MutexGuard<'static, Stuck>, shared::OwnedMutexGuard<Stuck>,
    shared::RwLock<Stuck>, shared::RwLockReadGuard<'static, Movable>,
    shared::OwnedRwLockReadGuard<Movable>, shared::RwLockWriteGuard<'static, Movable>,
    shared::OwnedRwLockWriteGuard<Movable>, shared::OnceCell<Stuck>,
);
is_not!(Sync:
    shared::Mutex<Stuck>, shared::MutexGuard<'static, Movable>, shared::OwnedMutexGuard<Movable>,
    shared::RwLock<Movable>, shared::RwLockReadGuard<'static, Movable>,
    shared::OwnedRwLockReadGuard<Movable>, shared::RwLockWriteGuard<'static, Movable>,
    shared::OwnedRwLockWriteGuard<Movable>, shared::OnceCell<Movable>,
);

// One that belongs to a shard may go to another as a whole, before anybody has a part of it.
is!(Send:
    sync::Semaphore, sync::Event, sync::Notify, sync::Barrier, sync::Condition,
    sync::Mutex<Movable>, sync::OnceCell<Movable>,
);
is_not!(Send:
    sync::Permit<'static>, sync::OwnedPermit, sync::CancellationToken, sync::DropGuard,
    sync::Mutex<Stuck>, sync::MutexGuard<'static, u8>, sync::OwnedMutexGuard<u8>,
    sync::RwLock<u8>, sync::RwLockReadGuard<'static, u8>, sync::OwnedRwLockReadGuard<u8>,
    sync::RwLockWriteGuard<'static, u8>, sync::OwnedRwLockWriteGuard<u8>,
    sync::OnceCell<Stuck>,
);
is_not!(Sync:
    sync::Semaphore, sync::Permit<'static>, sync::OwnedPermit,
    sync::Event, sync::Notify, sync::Barrier, sync::Condition,
    sync::CancellationToken, sync::DropGuard,
    sync::Mutex<u8>, sync::MutexGuard<'static, u8>, sync::OwnedMutexGuard<u8>,
    sync::RwLock<u8>, sync::RwLockReadGuard<'static, u8>, sync::OwnedRwLockReadGuard<u8>,
    sync::RwLockWriteGuard<'static, u8>, sync::OwnedRwLockWriteGuard<u8>,
    sync::OnceCell<u8>,
);

/// The futures of the shared kind may move between threads while they wait.
#[test]
fn futures_of_the_shared_kind_may_leave_their_thread() {
    fn movable<T: Send>(value: T) -> T {
        value
    }
    let (semaphore, mutex) = (
        Arc::new(shared::Semaphore::new(1)),
        Arc::new(shared::Mutex::new(1)),
    );
    let (event, notify) = (shared::Event::new(), shared::Notify::new());
    let (lock, barrier) = (Arc::new(shared::RwLock::new(1)), shared::Barrier::new(1));
    let (condition, cell) = (shared::Condition::new(), shared::OnceCell::new());
    let token = shared::CancellationToken::new();
    let held = mutex.try_lock().unwrap();
    drop(movable(semaphore.acquire()));
    drop(movable(shared::Semaphore::acquire_owned(&semaphore)));
    drop(movable(mutex.lock()));
    drop(movable(shared::Mutex::lock_owned(&mutex)));
    drop(movable(event.wait()));
    drop(movable(notify.notified()));
    drop(movable(lock.read()));
    drop(movable(shared::RwLock::write_owned(&lock)));
    drop(movable(barrier.wait()));
    drop(movable(condition.wait_for(held, |value| *value > 1)));
    drop(movable(cell.get_or_init(async || 1)));
    drop(movable(token.run_until_cancelled(token.cancelled())));
    drop(movable(token.clone().cancelled_owned()));
    let task = movable(async move {
        let mut held = mutex.lock().await;
        std::future::ready(()).await;
        *held += 1;
    });
    drop(task);
}
