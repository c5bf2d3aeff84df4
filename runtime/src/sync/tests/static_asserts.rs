//! What may leave its thread, and what may be shared between threads: told by the compiler.
//!
//! `is!` compiles if a type has a trait. `is_not!` compiles only if it has not: were the trait there,
//! which of two methods is meant would be unclear.

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

is!(Send:
    shared::Semaphore, shared::Permit<'static>, shared::OwnedPermit,
    shared::Event, shared::Notify,
    shared::Mutex<Movable>, shared::MutexGuard<'static, Movable>, shared::OwnedMutexGuard<Movable>,
);
is!(Sync:
    shared::Semaphore, shared::Permit<'static>, shared::OwnedPermit,
    shared::Event, shared::Notify,
    shared::Mutex<Movable>, shared::MutexGuard<'static, u8>, shared::OwnedMutexGuard<u8>,
);
// One that belongs to a shard may go to another as a whole, before anybody has a part of it.
is!(Send: sync::Semaphore, sync::Event, sync::Notify, sync::Mutex<Movable>);
is_not!(Send:
    shared::Mutex<Stuck>, shared::MutexGuard<'static, Stuck>, shared::OwnedMutexGuard<Stuck>,
    sync::Permit<'static>, sync::OwnedPermit,
    sync::Mutex<Stuck>, sync::MutexGuard<'static, u8>, sync::OwnedMutexGuard<u8>,
);
is_not!(Sync:
    shared::Mutex<Stuck>, shared::MutexGuard<'static, Movable>, shared::OwnedMutexGuard<Movable>,
    sync::Semaphore, sync::Permit<'static>, sync::OwnedPermit,
    sync::Event, sync::Notify,
    sync::Mutex<u8>, sync::MutexGuard<'static, u8>, sync::OwnedMutexGuard<u8>,
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
    drop(movable(semaphore.acquire()));
    drop(movable(shared::Semaphore::acquire_owned(&semaphore)));
    drop(movable(mutex.lock()));
    drop(movable(shared::Mutex::lock_owned(&mutex)));
    drop(movable(event.wait()));
    drop(movable(notify.notified()));
    let task = movable(async move {
        let mut held = mutex.lock().await;
        std::future::ready(()).await;
        *held += 1;
    });
    drop(task);
}
