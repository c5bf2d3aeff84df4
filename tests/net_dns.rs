//! Names by DNS: a server of the test answers well, badly, late and not at all.
#![cfg(unix)]

mod support {
    pub(crate) mod name_server;
}

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::net::{
    CacheConfig, Connector, DnsConfig, DnsResolver, Early, Resolved, Resolver, TcpListener, lookup,
    set_name_cache, set_resolver,
};
use annulet::time::{sleep, timeout};
use annulet::{Context, for_each_driver, spawn};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use support::name_server::{Asked, NameServer, name};

/// How long anything may take that does not wait for us, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a server is waited for that is not to answer.
const SHORT: Duration = Duration::from_millis(100);

fn config(servers: &[&NameServer]) -> DnsConfig {
    let mut config = DnsConfig::new(servers.iter().map(|server| server.address).collect());
    config.timeout = PATIENCE;
    config
}

fn resolver(config: DnsConfig) -> DnsResolver {
    DnsResolver::new(config).hosts_file(None)
}

async fn ask(resolver: &DnsResolver, host: &str) -> io::Result<Resolved> {
    let asked = timeout(3 * PATIENCE, resolver.resolve(host, Early::default())).await;
    asked.expect("it waits for ever")
}

/// The addresses of `host`, by one server that does as it is told.
async fn asked_of(server: &NameServer, host: &str) -> io::Result<Vec<String>> {
    let resolved = ask(&resolver(config(&[server])), host).await?;
    Ok(texts(&resolved))
}

fn texts(resolved: &Resolved) -> Vec<String> {
    let addresses = resolved.addresses.iter();
    addresses.map(|address| address.ip().to_string()).collect()
}

/// A server with one answer to everything.
async fn saying(script: impl Fn(&Asked) -> Message + 'static) -> NameServer {
    NameServer::start(move |asked| vec![script(asked)]).await
}

/// Runs a test on each driver.
fn each(test: impl AsyncFn()) {
    for_each_driver(|runtime| runtime.block_on(test()));
}

#[test]
fn both_families_are_asked_for_at_once_and_found() {
    each(async || {
        let server = saying(|asked| match asked.kind {
            RecordType::A => asked.answer(&["db.example 60 127.0.0.5", "db.example 60 127.0.0.6"]),
            _ => asked.answer(&["db.example 60 ::1"]),
        });
        let server = server.await;
        set_name_cache(CacheConfig::OFF);
        set_resolver(Rc::new(resolver(config(&[&server]))));
        let mut found = lookup("db.example:7").await.expect("found");
        found.sort();
        let expected = ["127.0.0.5:7", "127.0.0.6:7", "[::1]:7"];
        let expected = expected.map(|address| address.parse::<SocketAddr>().expect("an address"));
        assert_eq!(found, expected);
        let asked = server.asked();
        assert_eq!(asked.len(), 2);
        assert!(
            asked
                .iter()
                .all(|asked| asked.message.metadata.recursion_desired)
        );
        assert_ne!(asked[0].from, asked[1].from, "each has a socket of its own");
    });
}

#[test]
fn ids_and_ports_are_drawn_anew_for_each_question() {
    each(async || {
        let server = saying(|asked| asked.address("127.0.0.5")).await;
        let resolver = resolver(config(&[&server]));
        for _ in 0..50 {
            ask(&resolver, "a.example").await.expect("found");
        }
        let asked = server.asked();
        let ids: HashSet<u16> = asked
            .iter()
            .map(|asked| asked.message.metadata.id)
            .collect();
        let ports: HashSet<u16> = asked.iter().map(|asked| asked.from.port()).collect();
        assert!(ids.len() > 90, "{} of 100 ids", ids.len());
        assert!(ports.len() > 50, "{} of 100 ports", ports.len());
    });
}

#[test]
fn an_answer_that_is_cut_short_is_asked_for_by_tcp() {
    each(async || {
        let server = saying(|asked| {
            if asked.kind == RecordType::AAAA {
                return asked.answer(&[]);
            }
            if asked.by_tcp {
                let records: Vec<String> = (0..200)
                    .map(|last| format!("a.example 60 10.0.0.{last}"))
                    .collect();
                let records: Vec<&str> = records.iter().map(String::as_str).collect();
                return asked.answer(&records);
            }
            let mut cut_short = asked.answer(&["a.example 60 10.9.9.9"]);
            cut_short.metadata.truncation = true;
            cut_short
        });
        let server = server.await;
        let found = asked_of(&server, "a.example").await.expect("found");
        assert_eq!(found.len(), 200);
        assert!(!found.contains(&"10.9.9.9".to_owned()));
        let by_tcp = server.asked().into_iter().filter(|asked| asked.by_tcp);
        assert_eq!(by_tcp.count(), 1);
    });
}

#[test]
fn who_is_told_to_asks_by_tcp_alone() {
    each(async || {
        let server = saying(|asked| asked.address("127.0.0.5")).await;
        let mut config = config(&[&server]);
        config.tcp = true;
        config.ipv6 = false;
        ask(&resolver(config), "a.example").await.expect("found");
        let asked = server.asked();
        assert_eq!(asked.len(), 1, "IPv6 was not to be asked for");
        assert!(asked[0].by_tcp);
    });
}

#[test]
fn a_question_that_was_lost_is_asked_again() {
    each(async || {
        let server = NameServer::start(|asked| match asked.before {
            0 => Vec::new(),
            _ => vec![asked.address("127.0.0.5")],
        });
        let server = server.await;
        let mut config = config(&[&server]);
        config.timeout = SHORT;
        config.attempts = 50;
        let found = ask(&resolver(config), "a.example").await.expect("found");
        assert_eq!(texts(&found), ["127.0.0.5"]);
        let ids: HashSet<u16> = server
            .asked()
            .iter()
            .map(|asked| asked.message.metadata.id)
            .collect();
        assert!(ids.len() > 2, "each time with an id of its own");
    });
}

/// What a forger sends before the server's own answer.
type Forge = fn(&Asked, Message) -> Message;

#[test]
fn what_does_not_match_the_question_is_passed_over() {
    let forgeries: [(&str, Forge); 4] = [
        ("another id", |_, mut forged| {
            forged.metadata.id = forged.metadata.id.wrapping_add(1);
            forged
        }),
        ("another name", |_, mut forged| {
            forged.queries[0].set_name(name("b.example"));
            forged
        }),
        ("another kind", |_, mut forged| {
            forged.queries[0].set_query_type(RecordType::TXT);
            forged
        }),
        ("a question", |asked, _| asked.message.clone()),
    ];
    for (what, forge) in forgeries {
        each(async || {
            let server = NameServer::start(move |asked| {
                let forged = match asked.kind {
                    RecordType::A => asked.address("10.6.6.6"),
                    _ => asked.answer(&["a.example 60 2001:db8::6"]),
                };
                vec![forge(asked, forged), asked.address("127.0.0.5")]
            });
            let server = server.await;
            let found = asked_of(&server, "a.example").await.expect("found");
            assert_eq!(found, ["127.0.0.5"], "{what}");
            assert_eq!(
                server.asked().len(),
                2,
                "{what}: the first answer was taken"
            );
        });
    }
}

#[test]
fn letters_of_random_case_must_come_back() {
    each(async || {
        let host = "a-name-of-many-letters.example";
        let server = NameServer::start(|asked| {
            let mut plain = asked.address("127.0.0.5");
            plain.queries[0].set_name(name(&asked.name.to_lowercase()));
            plain.answers.clear();
            vec![plain, asked.address("127.0.0.5")]
        });
        let server = server.await;
        let mixed = resolver(config(&[&server])).mixed_case(true);
        let found = ask(&mixed, host).await.expect("found");
        assert_eq!(texts(&found), ["127.0.0.5"]);
        for asked in server.asked() {
            assert_ne!(asked.name, host);
            assert_eq!(asked.name.to_lowercase(), host);
        }
        let error = asked_of(&server, host)
            .await
            .expect_err("the plain one matches");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn names_that_are_not_there_and_names_without_addresses_are_not_found() {
    each(async || {
        let server = saying(|asked| match asked.name.as_str() {
            "none.example" => asked.fails(ResponseCode::NXDomain),
            _ => asked.answer(&[]),
        });
        let server = server.await;
        for host in ["none.example", "empty.example"] {
            let error = asked_of(&server, host).await.expect_err("not found");
            assert_eq!(error.kind(), ErrorKind::NotFound, "{host}");
        }
        assert_eq!(
            server.asked().len(),
            4,
            "that is an answer: nobody is asked again"
        );
    });
}

#[test]
fn a_name_is_looked_for_in_the_domains_of_the_search_list() {
    each(async || {
        let server = saying(|asked| match asked.name.as_str() {
            "www.b.example" => asked.address("127.0.0.5"),
            _ => asked.fails(ResponseCode::NXDomain),
        });
        let server = server.await;
        let mut config = config(&[&server]);
        config.search = vec!["a.example".to_owned(), "b.example".to_owned()];
        let resolver = resolver(config);
        ask(&resolver, "www").await.expect("found");
        assert_eq!(server.names(), ["www.a.example", "www.b.example"]);
        let error = ask(&resolver, "www.").await.expect_err("as it stands");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(server.names().last().map(String::as_str), Some("www"));
    });
}

#[test]
fn a_server_that_fails_or_is_not_there_is_followed_by_the_next() {
    each(async || {
        let failing = saying(|asked| asked.fails(ResponseCode::ServFail)).await;
        let refusing = saying(|asked| {
            // It may leave out what it was asked.
            let mut refused = asked.fails(ResponseCode::Refused);
            refused.queries.clear();
            refused
        });
        let refusing = refusing.await;
        let good = saying(|asked| asked.address("127.0.0.5")).await;
        let mut config = config(&[&failing, &refusing, &good]);
        let nobody = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        config
            .servers
            .insert(2, nobody.local_addr().expect("bound"));
        drop(nobody);
        let resolver = resolver(config);
        for _ in 0..3 {
            let found = ask(&resolver, "a.example").await.expect("found");
            assert_eq!(texts(&found), ["127.0.0.5"]);
        }
        assert_eq!(
            failing.names().len(),
            1,
            "who answered is asked first from then on"
        );
        assert_eq!((refusing.names().len(), good.names().len()), (1, 3));
    });
}

#[test]
fn servers_take_turns_when_told_to() {
    each(async || {
        let servers = [
            saying(|asked| asked.address("127.0.0.5")).await,
            saying(|asked| asked.address("127.0.0.5")).await,
        ];
        let mut config = config(&[&servers[0], &servers[1]]);
        config.rotate = true;
        config.ipv6 = false;
        let resolver = resolver(config);
        for _ in 0..10 {
            ask(&resolver, "a.example").await.expect("found");
        }
        assert_eq!(servers.map(|server| server.asked().len()), [5, 5]);
    });
}

#[test]
fn a_failure_of_all_servers_is_told_and_one_familys_is_made_do_without() {
    each(async || {
        let server = saying(|asked| match (asked.name.as_str(), asked.kind) {
            ("half.example", RecordType::A) => asked.address("127.0.0.5"),
            _ => asked.fails(ResponseCode::ServFail),
        });
        let server = server.await;
        let error = asked_of(&server, "a.example").await.expect_err("it fails");
        assert_ne!(error.kind(), ErrorKind::NotFound, "nobody knows that");
        let resolver = resolver(config(&[&server]));
        let half = ask(&resolver, "half.example").await.expect("one family");
        assert_eq!(texts(&half), ["127.0.0.5"]);
        assert_eq!(
            half.ttl,
            Some(Duration::ZERO),
            "half an answer is not remembered"
        );
    });
}

#[test]
fn servers_that_are_silent_take_the_time_that_they_are_given() {
    each(async || {
        let silent = NameServer::start(|_| Vec::new()).await;
        let mut config = config(&[&silent, &silent]);
        config.timeout = SHORT;
        let begun = Instant::now();
        let error = ask(&resolver(config), "a.example")
            .await
            .expect_err("silent");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(
            error.to_string().contains(&silent.address.to_string()),
            "{error}"
        );
        assert!(begun.elapsed() >= 4 * SHORT);
        // Both families, of each of two, twice; the server may come to the last ones only now.
        until("asked too little", || silent.asked().len() >= 8).await;
        assert_eq!(silent.asked().len(), 8);
    });
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            sleep(Duration::from_micros(200)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[test]
fn a_lookup_that_is_dropped_asks_no_more_and_keeps_nothing() {
    each(async || {
        let driver = Context::current().driver().clone();
        for by_tcp in [false, true] {
            let silent = NameServer::start(|_| Vec::new()).await;
            let mut config = config(&[&silent]);
            config.tcp = by_tcp;
            let resolver = resolver(config);
            // The server waits for a datagram and for a connection.
            sleep(Duration::from_millis(1)).await;
            let before = driver.in_flight();
            let asking = spawn(resolver.resolve("a.example", Early::default()));
            until("it was not asked", || silent.asked().len() == 2).await;
            assert!(driver.in_flight() > before, "it waits for the answer");
            asking.abort();
            until("slots are still taken", || driver.in_flight() <= before).await;
            assert_eq!(silent.asked().len(), 2);
        }
    });
}

#[test]
fn aliases_are_followed_to_their_end_wherever_it_is() {
    each(async || {
        let server = saying(|asked| match (asked.name.as_str(), asked.kind) {
            // All in one answer, in no order.
            ("all.example", RecordType::A) => asked.answer(&[
                "c.example 50 127.0.0.5",
                "b.example 20 c.example",
                "all.example 90 b.example",
                "other.example 5 10.6.6.6",
            ]),
            // The server leaves the rest to the one who asks.
            ("far.example", RecordType::A) => {
                let mut answer = asked.answer(&["far.example 40 near.example"]);
                answer.metadata.recursion_available = false;
                answer
            }
            ("near.example", RecordType::A) => asked.answer(&["near.example 90 127.0.0.6"]),
            // An alias of a name that has no address.
            ("bare.example", _) => asked.answer(&["bare.example 40 none.example"]),
            _ => asked.answer(&[]),
        });
        let server = server.await;
        let resolver = resolver(config(&[&server]));
        let all = ask(&resolver, "all.example").await.expect("found");
        assert_eq!(texts(&all), ["127.0.0.5"]);
        assert_eq!(all.ttl, Some(Duration::from_secs(20)), "the least of them");
        let far = ask(&resolver, "far.example").await.expect("found");
        assert_eq!(texts(&far), ["127.0.0.6"]);
        assert_eq!(far.ttl, Some(Duration::from_secs(40)));
        let error = ask(&resolver, "bare.example").await.expect_err("not found");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let names = ["all.example", "far.example", "near.example", "bare.example"];
        assert_eq!(
            server.names(),
            names,
            "a server that looks on is not asked again"
        );
    });
}

#[test]
fn aliases_without_an_end_are_an_error() {
    each(async || {
        let server = saying(|asked| match asked.name.as_str() {
            "circle.example" => asked.answer(&[
                "circle.example 60 back.example",
                "back.example 60 circle.example",
            ]),
            name => {
                let longer = format!("{name} 60 a{name}");
                let mut answer = asked.answer(&[&longer]);
                answer.metadata.recursion_available = false;
                answer
            }
        });
        let server = server.await;
        for host in ["circle.example", "chain.example"] {
            let error = asked_of(&server, host).await.expect_err("no end");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{host}: {error}");
        }
    });
}

#[test]
fn answers_are_remembered_for_as_long_as_the_server_says() {
    each(async || {
        let server = saying(|asked| {
            let ttl_s = if asked.name == "lasting.example" {
                60
            } else {
                0
            };
            match asked.kind {
                RecordType::A => asked.answer(&[&format!("{} {ttl_s} 127.0.0.5", asked.name)]),
                _ => asked.answer(&[]),
            }
        });
        let server = server.await;
        set_name_cache(CacheConfig::default());
        set_resolver(Rc::new(resolver(config(&[&server]))));
        for _ in 0..3 {
            lookup("lasting.example:1").await.expect("found");
            lookup("fleeting.example:1").await.expect("found");
        }
        let mut names = server.names();
        names.sort();
        let expected = [&["fleeting.example"; 3][..], &["lasting.example"]].concat();
        assert_eq!(names, expected);
    });
}

#[test]
fn the_hosts_file_comes_first_and_is_read_again_when_it_changed() {
    each(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let hosts = folder.path().join("hosts");
        std::fs::write(
            &hosts,
            "127.0.0.7 Known.example other # no.example\n::bad x\n",
        )
        .expect("written");
        let server = saying(|asked| asked.address("127.0.0.5")).await;
        let resolver = DnsResolver::new(config(&[&server])).hosts_file(Some(hosts.clone()));
        for host in ["known.example", "KNOWN.example.", "other"] {
            let found = ask(&resolver, host).await.expect("in the file");
            assert_eq!(texts(&found), ["127.0.0.7"], "{host}");
        }
        assert!(server.asked().is_empty());
        std::fs::write(&hosts, "127.0.0.8 known.example\n127.0.0.9 known.example\n")
            .expect("written");
        let found = ask(&resolver, "known.example").await.expect("in the file");
        assert_eq!(texts(&found), ["127.0.0.8", "127.0.0.9"]);
        let found = ask(&resolver, "other").await.expect("of the server");
        assert_eq!(texts(&found), ["127.0.0.5"]);
        std::fs::remove_file(&hosts).expect("removed");
        let found = ask(&resolver, "known.example")
            .await
            .expect("of the server");
        assert_eq!(texts(&found), ["127.0.0.5"]);
    });
}

#[test]
fn no_server_is_asked_for_addresses_and_for_this_machine() {
    each(async || {
        let server = saying(|asked| asked.address("10.6.6.6")).await;
        let resolver = resolver(config(&[&server]));
        for host in ["localhost", "localhost.", "a.localhost", "::1", "127.0.0.9"] {
            let found = ask(&resolver, host).await.expect("known");
            let ours = |address: &SocketAddr| address.ip().is_loopback();
            assert!(found.addresses.iter().all(ours), "{host}");
        }
        let too_long = format!("{}.example", "a".repeat(64));
        for host in [too_long.as_str(), "a..example", "", ".", "a\0b", "a b"] {
            let error = ask(&resolver, host).await.expect_err("no name");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{host:?}");
        }
        assert!(server.asked().is_empty(), "{:?}", server.names());
    });
}

#[test]
fn the_systems_servers_and_hosts_are_found() {
    each(async || {
        let found = ask(&DnsResolver::system(), "localhost")
            .await
            .expect("known");
        assert!(
            found
                .addresses
                .iter()
                .all(|address| address.ip().is_loopback())
        );
    });
}

/// Connects by name while the server keeps one family's answer to itself.
async fn connects_without(withheld: RecordType, listener: TcpListener) {
    let address = listener.local_addr().expect("bound");
    let ip = address.ip().to_string();
    let answered = Rc::new(Cell::new(0));
    let count = Rc::clone(&answered);
    let server = NameServer::start(move |asked| {
        if asked.kind == withheld {
            return Vec::new();
        }
        count.set(count.get() + 1);
        vec![asked.address(&ip)]
    });
    let server = server.await;
    set_name_cache(CacheConfig::OFF);
    set_resolver(Rc::new(resolver(config(&[&server]))));
    let target = format!("a.example:{}", address.port());
    let connector = Connector::new();
    let connecting = pin!(connector.connect(target));
    // Before the other answer is given up.
    let connected = timeout(PATIENCE / 2, connecting).await;
    let stream = connected.expect("it waits for the other family");
    assert_eq!(
        stream.expect("it listens").peer_addr().expect("connected"),
        address
    );
    assert_eq!(answered.get(), 1);
}

#[test]
fn who_connects_begins_with_the_family_that_is_known() {
    each(async || {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bound");
        connects_without(RecordType::AAAA, four).await;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await {
            Ok(six) => connects_without(RecordType::A, six).await,
            Err(error) => println!(
                "SKIP who_connects_begins_with_the_family_that_is_known: the kernel has no IPv6: {error}"
            ),
        }
    });
}
