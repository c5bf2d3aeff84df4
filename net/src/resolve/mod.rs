//! Names: looked up off the loop, once for all who ask at the same time, and remembered a while.
//!
//! Each shard has a [`Resolver`], by default the system's, on the blocking pool, and a cache of its
//! answers. Who asks for a name that is neither remembered nor being looked up begins a lookup; who
//! asks while one is under way joins it. A lookup lives as long as somebody waits for it: with the
//! last of them its future is dropped. Whichever of them is polled drives it; [`Turns`] sees to it
//! that the answer reaches all, and that the others are woken when the one that drove it gives up.
//!
//! Who connects need not wait for the whole answer: what the resolver tells [`Early`] reaches all
//! who wait, as the answer does, and each takes from it what it has not had.

mod cache;
#[cfg(feature = "hickory")]
mod dns;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use annulet_runtime::spawn_blocking;
use annulet_runtime::stream::{Stream, try_unfold};
use annulet_runtime::time::now;

use self::cache::Cache;
pub use self::cache::CacheConfig;
#[cfg(feature = "hickory")]
pub use self::dns::{DnsConfig, DnsResolver};
use crate::turns::Turns;

/// What a resolver says of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// Its addresses, the best first. Their ports are not looked at.
    pub addresses: Vec<SocketAddr>,
    /// For how long this is good, if the resolver knows.
    pub ttl: Option<Duration>,
}

impl Resolved {
    /// These addresses, the best first.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            ttl: None,
        }
    }

    /// Good for so long.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// Where a resolver says what it knows already, for those who connect: they begin with that.
#[derive(Clone, Debug, Default)]
pub struct Early(Rc<RefCell<Vec<SocketAddr>>>);

impl Early {
    /// Tells of these addresses. To be called by the future that [`Resolver::resolve`] gave, while
    /// it is polled; all that was told must be in what that answers, too.
    pub fn tell(&self, addresses: &[SocketAddr]) {
        self.0.borrow_mut().extend_from_slice(addresses);
    }
}

/// The future of a [`Resolver`].
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Resolved>>>>;

/// Looks names up. [`set_resolver`] puts one in the place of the system's.
pub trait Resolver {
    /// The addresses of `host`, a name without a port.
    ///
    /// One that learns of some addresses before the others may tell of them by `early`.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when nobody waits for it any more. The next who asks begins anew.
    fn resolve(&self, host: &str, early: Early) -> Resolving;
}

/// The system's resolver, `getaddrinfo`, on the blocking pool: it knows `/etc/hosts`, and whatever
/// else the system is told to ask.
///
/// A lookup that has not begun when it is dropped does not begin; one that has goes on unheard.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, _early: Early) -> Resolving {
        let host = host.to_owned();
        let call = spawn_blocking(move || {
            let found = (host.as_str(), 0).to_socket_addrs()?;
            Ok(Resolved::new(found.collect()))
        });
        Box::pin(async { call.await.map_err(io::Error::other)? })
    }
}

/// What a lookup has come to. An error is told to all who wait, so each gets one like it.
type Answer = Result<Rc<[SocketAddr]>, (io::ErrorKind, String)>;

/// One lookup under way, and those who wait for it.
struct Lookup {
    name: String,
    resolving: RefCell<Resolving>,
    early: Early,
    answer: OnceCell<Answer>,
    turns: Turns,
}

impl Lookup {
    fn new(name: &str, early: Early, resolving: Resolving) -> Self {
        Self {
            name: name.to_owned(),
            resolving: RefCell::new(resolving),
            early,
            answer: OnceCell::new(),
            turns: Turns::default(),
        }
    }

    /// Addresses that `known` lacks, or `None` once that has all.
    fn poll_more(
        &self,
        known: &[SocketAddr],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Vec<SocketAddr>>>> {
        let answer = self.poll(cx);
        let more = match &answer {
            Poll::Ready(Ok(addresses)) => unknown(addresses, known),
            Poll::Ready(Err(failed)) => return Poll::Ready(Err(to_error(failed))),
            Poll::Pending => unknown(&self.early.0.borrow(), known),
        };
        match more {
            None if answer.is_pending() => Poll::Pending,
            more => Poll::Ready(Ok(more)),
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let name = &self.name;
        if let Some(answer) = self.answer.get() {
            return Poll::Ready(answer.clone());
        }
        let Ok(mut resolving) = self.resolving.try_borrow_mut() else {
            let message = format!("the resolver asks itself for {name}");
            return Poll::Ready(Err((io::ErrorKind::Deadlock, message)));
        };
        let resolved = ready!(resolving.as_mut().poll(cx));
        let (answer, ttl) = match resolved {
            Ok(found) if found.addresses.is_empty() => {
                let message = format!("{name} has no address");
                (Err((io::ErrorKind::NotFound, message)), None)
            }
            Ok(found) => (Ok(Rc::from(found.addresses)), found.ttl),
            Err(error) => (Err((error.kind(), format!("{name}: {error}"))), None),
        };
        NAMES.with_borrow_mut(|names| names.note(self, &answer, ttl));
        Poll::Ready(self.answer.get_or_init(|| answer).clone())
    }
}

/// What a shard knows of names.
struct Names {
    resolver: Rc<dyn Resolver>,
    cache: Cache,
    under_way: HashMap<String, Weak<Lookup>>,
    /// How many may be under way before those that were given up are looked for.
    tidy_at: usize,
}

thread_local! {
    static NAMES: RefCell<Names> = RefCell::new(Names {
        resolver: Rc::new(SystemResolver),
        cache: Cache::default(),
        under_way: HashMap::new(),
        tidy_at: 16,
    });
}

impl Names {
    /// A lookup has ended. One that was begun by an earlier resolver is not remembered.
    fn note(&mut self, lookup: &Lookup, answer: &Answer, ttl: Option<Duration>) {
        let name = lookup.name.as_str();
        let known = self.under_way.get(name).map(Weak::as_ptr);
        if known != Some(std::ptr::from_ref(lookup)) {
            return;
        }
        self.under_way.remove(name);
        if let Ok(addresses) = answer {
            self.cache.put(name, addresses, ttl, now());
        }
    }
}

/// Puts `resolver` in the place of the one that this shard looks names up by, and gives that back.
/// What is remembered is forgotten; lookups under way go on.
///
/// A resolver belongs to its thread: set it on each shard, as by
/// [`for_each_shard`](annulet_runtime::for_each_shard).
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::rc::Rc;
///
/// use annulet_net::{Early, Resolved, Resolver, Resolving, lookup, set_resolver};
///
/// /// Knows one name.
/// struct Fixed;
///
/// impl Resolver for Fixed {
///     fn resolve(&self, host: &str, _early: Early) -> Resolving {
///         let known = host == "db.internal";
///         Box::pin(async move {
///             if !known {
///                 return Err(io::ErrorKind::NotFound.into());
///             }
///             Ok(Resolved::new(vec![([10, 0, 0, 5], 0).into()]))
///         })
///     }
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// set_resolver(Rc::new(Fixed));
/// assert_eq!(lookup("db.internal:5432").await?, [([10, 0, 0, 5], 5432).into()]);
/// # Ok::<(), io::Error>(())
/// # })?;
/// # Ok::<(), io::Error>(())
/// ```
pub fn set_resolver(resolver: Rc<dyn Resolver>) -> Rc<dyn Resolver> {
    NAMES.with_borrow_mut(|names| {
        names.cache = Cache::new(names.cache.config());
        names.under_way.clear();
        std::mem::replace(&mut names.resolver, resolver)
    })
}

/// Says how many names this shard remembers and for how long, and forgets those that it does.
///
/// # Examples
///
/// ```
/// use annulet_net::{CacheConfig, set_name_cache};
///
/// // Every lookup asks the resolver.
/// set_name_cache(CacheConfig::OFF);
/// ```
pub fn set_name_cache(config: CacheConfig) {
    NAMES.with_borrow_mut(|names| names.cache = Cache::new(config));
}

/// The addresses of `host`, with this port.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let lookup = join(host);
    let turn = lookup.turns.join();
    match poll_fn(|cx| turn.note(lookup.poll(cx), cx)).await {
        Ok(addresses) => Ok(with_port(&addresses, port)),
        Err(failed) => Err(to_error(&failed)),
    }
}

/// As [`resolve`], as the addresses become known.
pub(crate) fn resolve_early(
    host: &str,
    port: u16,
) -> impl Stream<Item = io::Result<Vec<SocketAddr>>> {
    try_unfold(
        (join(host), Vec::new()),
        move |(lookup, mut known)| async move {
            let turn = lookup.turns.join();
            let more = poll_fn(|cx| turn.note(lookup.poll_more(&known, cx), cx)).await?;
            drop(turn);
            Ok(more.map(|more| {
                known.extend_from_slice(&more);
                (with_port(&more, port), (lookup, known))
            }))
        },
    )
}

fn with_port(addresses: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let mut addresses = addresses.to_vec();
    for address in &mut addresses {
        address.set_port(port);
    }
    addresses
}

/// Those of `addresses` that are not `known`, if there are any.
fn unknown(addresses: &[SocketAddr], known: &[SocketAddr]) -> Option<Vec<SocketAddr>> {
    let news = addresses.iter().filter(|address| !known.contains(address));
    let news: Vec<_> = news.copied().collect();
    (!news.is_empty()).then_some(news)
}

fn to_error((kind, message): &(io::ErrorKind, String)) -> io::Error {
    io::Error::new(*kind, message.clone())
}

/// The lookup of `host`: one that ended, as is remembered, or is under way, or a new one.
fn join(host: &str) -> Rc<Lookup> {
    let (remembered, under_way, resolver) = NAMES.with_borrow(|names| {
        let under_way = names.under_way.get(host).and_then(Weak::upgrade);
        let remembered = names.cache.find(host, now());
        (remembered, under_way, Rc::clone(&names.resolver))
    });
    if let Some(known) = remembered {
        let ended = Lookup::new(host, Early::default(), Box::pin(pending()));
        ended.answer.get_or_init(|| Ok(known));
        return Rc::new(ended);
    }
    if let Some(joined) = under_way {
        return joined;
    }
    // No borrow is held while code of a user runs.
    let early = Early::default();
    let resolving = resolver.resolve(host, early.clone());
    let lookup = Rc::new(Lookup::new(host, early, resolving));
    NAMES.with_borrow_mut(|names| {
        // Lookups that were given up have left their names.
        if names.under_way.len() >= names.tidy_at {
            names.under_way.retain(|_, other| other.strong_count() > 0);
            names.tidy_at = 2 * names.under_way.len() + 16;
        }
        names
            .under_way
            .insert(host.to_owned(), Rc::downgrade(&lookup));
    });
    lookup
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("name", &self.name)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}
