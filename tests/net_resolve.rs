//! Names: who asks at the same time shares a lookup, answers are remembered for a while, and what
//! nobody waits for is given up.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use annulet::net::{
    CacheConfig, Early, Resolved, Resolver, Resolving, SystemResolver, TcpListener, TcpStream,
    lookup, set_name_cache, set_resolver,
};
use annulet::time::{sleep, timeout};
use annulet::{Builder, join_all, spawn};

/// Says for each name how often it was asked, after a second.
#[derive(Default)]
struct Counting {
    asked: RefCell<Vec<String>>,
    /// Lookups that were neither finished nor dropped.
    alive: Rc<Cell<u32>>,
    ttl: Option<Duration>,
}

struct Alive(Rc<Cell<u32>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Resolver for Counting {
    fn resolve(&self, host: &str, _early: Early) -> Resolving {
        self.asked.borrow_mut().push(host.to_owned());
        let count = self.asked.borrow().len();
        let fails = host.starts_with("no-");
        let ttl = self.ttl;
        self.alive.set(self.alive.get() + 1);
        let alive = Alive(Rc::clone(&self.alive));
        Box::pin(async move {
            let _alive = alive;
            sleep(Duration::from_secs(1)).await;
            if fails {
                return Err(io::Error::new(ErrorKind::NotFound, "as it was told"));
            }
            let resolved = Resolved::new(vec![answer(count, 0)]);
            Ok(match ttl {
                Some(ttl) => resolved.ttl(ttl),
                None => resolved,
            })
        })
    }
}

/// What the resolver says when it is asked for the so-manieth time.
fn answer(count: usize, port: u16) -> SocketAddr {
    let count = u8::try_from(count).expect("few");
    SocketAddr::from(([10, 0, 0, count], port))
}

/// Runs a test in virtual time, over a resolver that counts.
fn counting(resolver: Counting, test: impl AsyncFnOnce(Rc<Counting>)) {
    let runtime = Builder::new().virtual_time().build().expect("a runtime");
    runtime.block_on(async {
        let resolver = Rc::new(resolver);
        set_resolver(Rc::clone(&resolver) as Rc<dyn Resolver>);
        set_name_cache(CacheConfig::default());
        let ended = timeout(Duration::from_secs(3_600), test(resolver)).await;
        assert!(ended.is_ok(), "it waits for ever");
    });
}

/// Polls a future once.
async fn once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

async fn found(name: &str) -> SocketAddr {
    let found = lookup(name).await.expect("found");
    assert_eq!(found.len(), 1);
    found[0]
}

#[test]
fn who_asks_at_the_same_time_shares_one_lookup() {
    counting(Counting::default(), async |resolver| {
        let asking =
            (1..=20_u16).map(|port| spawn(async move { found(&format!("a:{port}")).await }));
        let answers = join_all(asking.collect::<Vec<_>>()).await;
        for (port, found) in (1..=20_u16).zip(answers) {
            assert_eq!(found.expect("no panic"), answer(1, port));
        }
        assert_eq!(*resolver.asked.borrow(), ["a"]);
        assert_eq!(resolver.alive.get(), 0);
    });
}

#[test]
fn a_lookup_goes_on_for_the_others_and_is_dropped_with_the_last() {
    counting(Counting::default(), async |resolver| {
        let mut first = Box::pin(lookup("a:1"));
        let second = spawn(lookup("a:2"));
        sleep(Duration::from_millis(1)).await;
        // Polled last, the first is whom the resolver would wake.
        assert!(once(first.as_mut()).await.is_none());
        drop(first);
        let found = second.await.expect("no panic").expect("found");
        assert_eq!(found, [answer(1, 2)]);

        let mut one = Box::pin(lookup("b:1"));
        let mut two = Box::pin(lookup("b:1"));
        assert!(once(one.as_mut()).await.is_none() && once(two.as_mut()).await.is_none());
        drop(one);
        assert_eq!(resolver.alive.get(), 1, "somebody waits");
        drop(two);
        assert_eq!(resolver.alive.get(), 0, "nobody waits");
        assert!(lookup("b:1").await.is_ok(), "it begins anew");
        assert_eq!(*resolver.asked.borrow(), ["a", "b", "b"]);
    });
}

#[test]
fn an_answer_is_remembered_for_thirty_seconds() {
    counting(Counting::default(), async |resolver| {
        assert_eq!(found("a:1").await, answer(1, 1));
        sleep(Duration::from_secs(29)).await;
        let mut again = pin!(lookup("a:2"));
        let known = once(again.as_mut()).await.expect("at once");
        assert_eq!(known.expect("known"), [answer(1, 2)]);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(found("a:1").await, answer(2, 1));
        assert_eq!(resolver.asked.borrow().len(), 2);
    });
}

#[test]
fn a_resolver_may_say_for_how_long_within_the_bound() {
    for (ttl_s, remembered_s) in [(5, 5), (500, 30)] {
        let resolver = Counting {
            ttl: Some(Duration::from_secs(ttl_s)),
            ..Counting::default()
        };
        counting(resolver, async |_| {
            assert_eq!(found("a:1").await, answer(1, 1));
            sleep(Duration::from_secs(remembered_s) - Duration::from_millis(100)).await;
            assert_eq!(found("a:1").await, answer(1, 1), "{ttl_s}");
            sleep(Duration::from_millis(200)).await;
            assert_eq!(found("a:1").await, answer(2, 1), "{ttl_s}");
        });
    }
}

/// Tells of one address, and keeps the rest to itself until it is told.
struct Hesitant {
    known: SocketAddr,
    rest: Rc<Cell<bool>>,
    /// Lookups that were neither finished nor dropped.
    alive: Rc<Cell<u32>>,
}

impl Resolver for Hesitant {
    fn resolve(&self, _host: &str, early: Early) -> Resolving {
        let (known, rest) = (self.known, Rc::clone(&self.rest));
        self.alive.set(self.alive.get() + 1);
        let alive = Alive(Rc::clone(&self.alive));
        Box::pin(async move {
            let _alive = alive;
            sleep(Duration::from_millis(1)).await;
            early.tell(&[known]);
            while !rest.get() {
                sleep(Duration::from_millis(1)).await;
            }
            Ok(Resolved::new(vec![answer(1, 0), known]))
        })
    }
}

#[test]
fn all_who_connect_begin_with_what_is_known_and_the_answer_goes_on_for_the_others() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
            let known = listener.local_addr().expect("bound");
            let hesitant = Rc::new(Hesitant {
                known,
                rest: Rc::default(),
                alive: Rc::default(),
            });
            set_name_cache(CacheConfig::default());
            set_resolver(Rc::clone(&hesitant) as Rc<dyn Resolver>);
            let target = format!("a:{}", known.port());
            let waiting = spawn(lookup(target.clone()));
            let connecting = (0..3).map(|_| spawn(TcpStream::connect(target.clone())));
            let connected = join_all(connecting.collect::<Vec<_>>());
            let connected = timeout(Duration::from_secs(10), connected).await;
            for stream in connected.expect("they wait for the rest") {
                stream.expect("no panic").expect("it listens");
            }
            assert!(!waiting.is_finished());
            assert_eq!(hesitant.alive.get(), 1, "one lookup for all");
            hesitant.rest.set(true);
            let all = waiting.await.expect("no panic").expect("found");
            assert_eq!(all, [answer(1, known.port()), known]);
            assert_eq!(hesitant.alive.get(), 0);
        });
    });
}

#[test]
fn failures_are_told_to_all_and_not_remembered() {
    counting(Counting::default(), async |resolver| {
        let asking = (0..3).map(|_| spawn(lookup("no-such:1")));
        for failed in join_all(asking.collect::<Vec<_>>()).await {
            let error = failed.expect("no panic").expect_err("it fails");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.to_string(), "no-such: as it was told");
        }
        assert!(lookup("no-such:1").await.is_err());
        assert_eq!(resolver.asked.borrow().len(), 2);
    });
}

#[test]
fn the_cache_forgets_the_oldest_name_and_can_be_off() {
    counting(Counting::default(), async |resolver| {
        set_name_cache(CacheConfig::default().names_max(2));
        for name in ["a:1", "b:1", "c:1"] {
            found(name).await;
        }
        found("b:1").await;
        found("c:1").await;
        assert_eq!(*resolver.asked.borrow(), ["a", "b", "c"]);
        found("a:1").await;
        assert_eq!(resolver.asked.borrow().len(), 4);
        set_name_cache(CacheConfig::OFF);
        found("a:1").await;
        found("a:1").await;
        assert_eq!(resolver.asked.borrow().len(), 6);
    });
}

#[test]
fn another_resolver_is_asked_at_once_even_for_what_is_known_or_under_way() {
    counting(Counting::default(), async |first| {
        found("known:1").await;
        let under_way = spawn(lookup("slow:1"));
        sleep(Duration::from_millis(1)).await;
        let second = Rc::new(Counting::default());
        set_resolver(Rc::clone(&second) as Rc<dyn Resolver>);
        found("known:1").await;
        assert_eq!(
            found("slow:1").await,
            answer(2, 1),
            "the second one's answer"
        );
        let slow = under_way.await.expect("no panic").expect("found");
        assert_eq!(slow, [answer(2, 1)], "the first one's answer, its second");
        assert_eq!(found("slow:1").await, answer(2, 1));
        assert_eq!(first.asked.borrow().len(), 2);
        assert_eq!(second.asked.borrow().len(), 2);
    });
}

/// Asks for the name that it is asked for.
struct Circular;

impl Resolver for Circular {
    fn resolve(&self, host: &str, _early: Early) -> Resolving {
        let same = format!("{host}:1");
        Box::pin(async move { lookup(same).await.map(Resolved::new) })
    }
}

#[test]
fn a_resolver_that_asks_itself_is_told() {
    let runtime = Builder::new().build().expect("a runtime");
    runtime.block_on(async {
        set_resolver(Rc::new(Circular));
        let error = lookup("a:1").await.expect_err("it never ends");
        assert_eq!(error.kind(), ErrorKind::Deadlock);
    });
}

#[test]
fn the_system_knows_this_machine_and_refuses_names_that_are_none() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            set_resolver(Rc::new(SystemResolver));
            let found = lookup("localhost:7").await.expect("in the hosts file");
            assert!(
                found
                    .iter()
                    .all(|addr| addr.ip().is_loopback() && addr.port() == 7)
            );
            // A name is not cut to what fits.
            let too_long = format!("localhost{}:7", ".localhost".repeat(100));
            let zero = "local\0host:7".to_owned();
            for bad in [too_long, zero] {
                assert!(lookup(&bad).await.is_err(), "{bad:?}");
            }
            for bad in [
                "localhost",
                "localhost:",
                "localhost:70000",
                "localhost:http",
            ] {
                let error = lookup(bad).await.expect_err("no port");
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            }
        });
    });
}

#[test]
fn names_are_connected_to_and_listened_on() {
    annulet::for_each_driver(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("localhost:0").await.expect("bound");
            let port = listener.local_addr().expect("bound").port();
            let client = TcpStream::connect(format!("localhost:{port}")).await;
            drop(client.expect("it listens on one of them"));
        });
    });
}
