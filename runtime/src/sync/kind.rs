//! The two kinds of each primitive: for one shard, and for several.
//!
//! A primitive is written once, over a [`Kind`]. With [`Local`] its state is in a `RefCell` and its
//! ends share an `Rc`: no atomic operation, nothing to share between threads. With [`Shared`] the
//! state is under a lock, held for a few instructions and never across a wake, and the ends share
//! an `Arc`.

use std::cell::{OnceCell, Ref, RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::{Rc, Weak};
use std::sync::{
    Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak as SharedWeak,
};

use crate::shim::{Mutex, lock};

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals")]
    pub trait Sealed {}
    impl Sealed for super::Local {}
    impl Sealed for super::Shared {}
}

/// Where a primitive keeps its state, and how its ends share it: [`Local`] or [`Shared`].
pub trait Kind: sealed::Sealed + fmt::Debug + Sized + 'static {
    /// State that is looked at for a moment.
    type Cell<T>;
    /// A pointer that the ends share.
    type Rc<T: ?Sized>: Clone + Deref<Target = T> + Unpin;
    /// A pointer to what the ends share that does not keep it alive.
    type Weak<T>;
    /// A value that is written once.
    type Once<T>;
    /// A value that is lent for as long as a guard lives. Whoever lends keeps the order; a loan
    /// that would contradict another one panics.
    type Value<T>;
    /// A loan of many.
    type Read<'a, T: 'a>: Deref<Target = T>;
    /// The only loan.
    type Write<'a, T: 'a>: DerefMut<Target = T>;

    /// A cell.
    fn cell<T>(state: T) -> Self::Cell<T>;
    /// Looks at the state. `look` runs no code of a user and does not come back here.
    fn with<T, R>(cell: &Self::Cell<T>, look: impl FnOnce(&mut T) -> R) -> R;
    /// The state, for whoever has all of it.
    fn cell_mut<T>(cell: &mut Self::Cell<T>) -> &mut T;
    /// The state, taken out.
    fn into_cell<T>(cell: Self::Cell<T>) -> T;
    /// A pointer.
    fn rc<T>(value: T) -> Self::Rc<T>;
    /// What is shared, for the only one who has it.
    fn rc_mut<T>(rc: &mut Self::Rc<T>) -> Option<&mut T>;
    /// Gives a pointer up; whoever does so last gets what was shared.
    fn rc_into_inner<T>(rc: Self::Rc<T>) -> Option<T>;
    /// A pointer that does not keep alive.
    fn downgrade<T>(rc: &Self::Rc<T>) -> Self::Weak<T>;
    /// A pointer that does, if it is not too late.
    fn upgrade<T>(weak: &Self::Weak<T>) -> Option<Self::Rc<T>>;
    /// A value yet to be written, or written already.
    fn once<T>(value: Option<T>) -> Self::Once<T>;
    /// The value, if it is written.
    fn once_value<T>(once: &Self::Once<T>) -> Option<&T>;
    /// Writes the value.
    ///
    /// # Errors
    ///
    /// If there is one already: then this one comes back.
    fn once_set<T>(once: &Self::Once<T>, value: T) -> Result<(), T>;
    /// The value, for whoever has all of it.
    fn once_mut<T>(once: &mut Self::Once<T>) -> Option<&mut T>;
    /// The value, taken out.
    fn once_into_value<T>(once: Self::Once<T>) -> Option<T>;
    /// A value to be lent.
    fn value<T>(value: T) -> Self::Value<T>;
    /// Lends it for reading.
    fn read<T>(value: &Self::Value<T>) -> Self::Read<'_, T>;
    /// Lends it for writing.
    fn write<T>(value: &Self::Value<T>) -> Self::Write<'_, T>;
}

/// For the tasks of one shard.
#[derive(Clone, Copy, Debug)]
pub enum Local {}

/// For tasks of several shards, and for threads.
#[derive(Clone, Copy, Debug)]
pub enum Shared {}

impl Kind for Local {
    type Cell<T> = RefCell<T>;
    type Rc<T: ?Sized> = Rc<T>;
    type Weak<T> = Weak<T>;
    type Once<T> = OnceCell<T>;
    type Value<T> = RefCell<T>;
    type Read<'a, T: 'a> = Ref<'a, T>;
    type Write<'a, T: 'a> = RefMut<'a, T>;

    fn cell<T>(state: T) -> RefCell<T> {
        RefCell::new(state)
    }

    #[inline]
    fn with<T, R>(cell: &RefCell<T>, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut cell.borrow_mut())
    }

    fn cell_mut<T>(cell: &mut RefCell<T>) -> &mut T {
        cell.get_mut()
    }

    fn into_cell<T>(cell: RefCell<T>) -> T {
        cell.into_inner()
    }

    fn rc<T>(value: T) -> Rc<T> {
        Rc::new(value)
    }

    fn rc_mut<T>(rc: &mut Rc<T>) -> Option<&mut T> {
        Rc::get_mut(rc)
    }

    fn rc_into_inner<T>(rc: Rc<T>) -> Option<T> {
        Rc::into_inner(rc)
    }

    fn downgrade<T>(rc: &Rc<T>) -> Weak<T> {
        Rc::downgrade(rc)
    }

    fn upgrade<T>(weak: &Weak<T>) -> Option<Rc<T>> {
        weak.upgrade()
    }

    fn once<T>(value: Option<T>) -> OnceCell<T> {
        value.map_or_else(OnceCell::new, OnceCell::from)
    }

    #[inline]
    fn once_value<T>(once: &OnceCell<T>) -> Option<&T> {
        once.get()
    }

    fn once_set<T>(once: &OnceCell<T>, value: T) -> Result<(), T> {
        once.set(value)
    }

    fn once_mut<T>(once: &mut OnceCell<T>) -> Option<&mut T> {
        once.get_mut()
    }

    fn once_into_value<T>(once: OnceCell<T>) -> Option<T> {
        once.into_inner()
    }

    fn value<T>(value: T) -> RefCell<T> {
        RefCell::new(value)
    }

    #[inline]
    fn read<T>(value: &RefCell<T>) -> Ref<'_, T> {
        value.borrow()
    }

    #[inline]
    fn write<T>(value: &RefCell<T>) -> RefMut<'_, T> {
        value.borrow_mut()
    }
}

impl Kind for Shared {
    type Cell<T> = Mutex<T>;
    type Rc<T: ?Sized> = Arc<T>;
    type Weak<T> = SharedWeak<T>;
    type Once<T> = OnceLock<T>;
    type Value<T> = RwLock<T>;
    type Read<'a, T: 'a> = RwLockReadGuard<'a, T>;
    type Write<'a, T: 'a> = RwLockWriteGuard<'a, T>;

    fn cell<T>(state: T) -> Mutex<T> {
        Mutex::new(state)
    }

    #[inline]
    fn with<T, R>(cell: &Mutex<T>, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut lock(cell))
    }

    fn cell_mut<T>(cell: &mut Mutex<T>) -> &mut T {
        cell.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_cell<T>(cell: Mutex<T>) -> T {
        cell.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn rc<T>(value: T) -> Arc<T> {
        Arc::new(value)
    }

    fn rc_mut<T>(rc: &mut Arc<T>) -> Option<&mut T> {
        Arc::get_mut(rc)
    }

    fn rc_into_inner<T>(rc: Arc<T>) -> Option<T> {
        Arc::into_inner(rc)
    }

    fn downgrade<T>(rc: &Arc<T>) -> SharedWeak<T> {
        Arc::downgrade(rc)
    }

    fn upgrade<T>(weak: &SharedWeak<T>) -> Option<Arc<T>> {
        weak.upgrade()
    }

    fn once<T>(value: Option<T>) -> OnceLock<T> {
        value.map_or_else(OnceLock::new, OnceLock::from)
    }

    #[inline]
    fn once_value<T>(once: &OnceLock<T>) -> Option<&T> {
        once.get()
    }

    fn once_set<T>(once: &OnceLock<T>, value: T) -> Result<(), T> {
        once.set(value)
    }

    fn once_mut<T>(once: &mut OnceLock<T>) -> Option<&mut T> {
        once.get_mut()
    }

    fn once_into_value<T>(once: OnceLock<T>) -> Option<T> {
        once.into_inner()
    }

    fn value<T>(value: T) -> RwLock<T> {
        RwLock::new(value)
    }

    // A holder that panicked has let go of the lock, as it would have by returning: what it left in
    // the value is its owner's affair, so poison says nothing here.

    #[inline]
    fn read<T>(value: &RwLock<T>) -> RwLockReadGuard<'_, T> {
        value.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn write<T>(value: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
        value.write().unwrap_or_else(PoisonError::into_inner)
    }
}
