//! HTTP by hyper on a shard: the server of `net::http`, with hyper's own client and raw bytes.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream, http};
use annulet::time::timeout;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

const PATIENCE: Duration = Duration::from_secs(60);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("bound");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Answers with the method, the path and the body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let head = format!("{} {}:", request.method(), request.uri().path());
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(Full::from([head.as_bytes(), &body].concat())))
}

/// Reads until the bytes end with `end`, and gives all of them.
async fn read_until(stream: &TcpStream, end: &str) -> String {
    let mut got = Vec::new();
    while !got.ends_with(end.as_bytes()) {
        let lease = timeout(PATIENCE, stream.recv())
            .await
            .expect("in time")
            .expect("received");
        got.extend_from_slice(&lease.expect("not the end"));
    }
    String::from_utf8(got).expect("text")
}

async fn read_to_end(stream: &TcpStream) -> String {
    let mut got = Vec::new();
    while let Some(lease) = timeout(PATIENCE, stream.recv())
        .await
        .expect("in time")
        .expect("received")
    {
        got.extend_from_slice(&lease);
    }
    String::from_utf8(got).expect("text")
}

/// A `stop` and the way to make it happen.
fn stop() -> (impl Future<Output = ()>, Rc<Cell<bool>>) {
    let told = Rc::new(Cell::new(false));
    let asked = Rc::clone(&told);
    let stop = async move {
        while !asked.get() {
            annulet::yield_now().await;
        }
    };
    (stop, told)
}

#[annulet::test]
async fn hypers_client_gets_many_answers_over_one_connection() {
    let (listener, address) = listen().await;
    let server = annulet::spawn(http::Server::new(service_fn(echo)).serve(listener, pending()));
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut client, connection) = http1::handshake(stream).await.expect("a connection");
    let connection = annulet::spawn(connection);
    for round in 0..50 {
        // Past one provided buffer, and past what a socket takes at once.
        let body = vec![b'x'; round * round * 300];
        let request = Request::post(format!("/{round}"))
            .header("host", "shard")
            .body(Full::new(Bytes::from(body.clone())))
            .expect("a request");
        let answer = client.send_request(request).await.expect("answered");
        assert_eq!(answer.status(), 200);
        let answer = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let head = format!("POST /{round}:");
        assert_eq!(answer.len(), head.len() + body.len());
        assert!(answer.starts_with(head.as_bytes()) && answer.ends_with(&body));
    }
    drop(client);
    connection.await.expect("not aborted").expect("a clean end");
    server.abort();
}

#[annulet::test]
async fn pipelined_requests_are_answered_in_order() {
    let (listener, address) = listen().await;
    let server = annulet::spawn(http::Server::new(service_fn(echo)).serve(listener, pending()));
    let stream = TcpStream::connect(address).await.expect("connected");
    let requests: String = (0..32)
        .map(|index| format!("GET /{index} HTTP/1.1\r\nhost: shard\r\n\r\n"))
        .collect();
    stream.write_all(requests).await.expect("sent");
    let answers = read_until(&stream, "GET /31:").await;
    let bodies: Vec<&str> = answers.split("\r\n\r\n").skip(1).collect();
    assert_eq!(bodies.len(), 32);
    for (index, body) in bodies.iter().enumerate() {
        assert!(
            body.starts_with(&format!("GET /{index}:")),
            "{index}: {body}"
        );
    }
    server.abort();
}

#[annulet::test]
async fn a_stopped_server_ends_the_request_it_is_at_and_idle_connections() {
    let (listener, address) = listen().await;
    let (stop, stop_now) = stop();
    let gate = Rc::new(Cell::new(false));
    let entered = Rc::new(Cell::new(false));
    let (inner_gate, inner_entered) = (Rc::clone(&gate), Rc::clone(&entered));
    let slow = service_fn(move |_request: Request<Incoming>| {
        let (gate, entered) = (Rc::clone(&inner_gate), Rc::clone(&inner_entered));
        async move {
            entered.set(true);
            while !gate.get() {
                annulet::yield_now().await;
            }
            Ok::<_, Infallible>(Response::new("late".to_owned()))
        }
    });
    let server = annulet::spawn(http::Server::new(slow).serve(listener, stop));
    let idle = TcpStream::connect(address).await.expect("connected");
    let busy = TcpStream::connect(address).await.expect("connected");
    busy.write_all("GET / HTTP/1.1\r\nhost: shard\r\n\r\n")
        .await
        .expect("sent");
    while !entered.get() {
        annulet::yield_now().await;
    }
    stop_now.set(true);
    assert_eq!(read_to_end(&idle).await, "", "an idle connection is closed");
    assert!(!server.is_finished(), "a request is under way");
    let refused = TcpStream::connect(address).await;
    gate.set(true);
    let answer = read_to_end(&busy).await;
    assert!(answer.ends_with("late"), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    timeout(PATIENCE, server)
        .await
        .expect("in time")
        .expect("not aborted");
    let refused = refused.expect_err("nobody listens any more");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[annulet::test]
async fn a_request_that_outlives_the_drain_is_dropped() {
    let (listener, address) = listen().await;
    let (stop, stop_now) = stop();
    let dropped = Rc::new(Cell::new(false));
    struct Tell(Rc<Cell<bool>>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let (told, told_inside) = (Rc::clone(&stop_now), Rc::clone(&dropped));
    let stuck = service_fn(move |_request: Request<Incoming>| {
        let tell = Tell(Rc::clone(&told_inside));
        told.set(true);
        async move {
            pending::<()>().await;
            drop(tell);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let server = http::Server::new(stuck).drain(Duration::from_millis(20));
    let server = annulet::spawn(server.serve(listener, stop));
    let client = TcpStream::connect(address).await.expect("connected");
    client
        .write_all("GET / HTTP/1.1\r\nhost: shard\r\n\r\n")
        .await
        .expect("sent");
    timeout(PATIENCE, server)
        .await
        .expect("in time")
        .expect("not aborted");
    assert_eq!(read_to_end(&client).await, "");
    assert!(dropped.get());
}

#[annulet::test]
async fn a_server_that_is_dropped_ends_its_connections() {
    let (listener, address) = listen().await;
    let server = annulet::spawn(http::Server::new(service_fn(echo)).serve(listener, pending()));
    let client = TcpStream::connect(address).await.expect("connected");
    client
        .write_all("GET /a HTTP/1.1\r\nhost: shard\r\n\r\n")
        .await
        .expect("sent");
    read_until(&client, "GET /a:").await;
    server.abort();
    assert_eq!(read_to_end(&client).await, "");
}

#[annulet::test]
async fn a_head_that_does_not_come_is_timed_out_by_the_shards_timer() {
    let (listener, address) = listen().await;
    let server = http::Server::new(service_fn(echo)).http(|http| {
        http.header_read_timeout(Duration::from_millis(30));
    });
    let server = annulet::spawn(server.serve(listener, pending()));
    let client = TcpStream::connect(address).await.expect("connected");
    client
        .write_all("GET / HTTP/1.1\r\nho")
        .await
        .expect("sent");
    let answer = read_to_end(&client).await;
    assert!(answer.is_empty() || answer.contains("408"), "{answer}");
    server.abort();
}

#[annulet::test]
async fn a_server_told_to_stop_before_it_starts_returns_at_once() {
    let (listener, _) = listen().await;
    let server = http::Server::new(service_fn(echo)).serve(listener, ready(()));
    timeout(PATIENCE, server).await.expect("in time");
}

#[cfg(unix)]
#[test]
fn every_shard_serves_the_same_port() {
    let shards = annulet::Builder::new()
        .shards(2)
        .start()
        .expect("two shards");
    let (tell, told) = std::sync::mpsc::channel();
    // Keeps the port, and does not listen.
    let kept =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    kept.set_reuse_port(true).expect("set");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    kept.bind(&any.into()).expect("bound");
    let address = kept.local_addr().expect("bound").as_socket().expect("IPv4");
    let serving = shards.run(move || async move {
        for index in 0..annulet::shards() {
            let tell = tell.clone();
            let listening = annulet::spawn_on(annulet::ShardId(index), move || async move {
                let listener = TcpListener::bind_shared(address).expect("shared");
                let service = service_fn(move |_request: Request<Incoming>| async move {
                    Ok::<_, Infallible>(Response::new(index.to_string()))
                });
                annulet::spawn(http::Server::new(service).serve(listener, pending()));
                tell.send(()).expect("heard");
            });
            listening.await.expect("listening");
        }
    });
    serving.expect("no panic");
    assert_eq!(told.iter().count(), 2);
    // The kernel spreads connections by a hash of the ports: 200 that all miss one shard of two
    // are less likely than a broken memory.
    let mut seen = [false; 2];
    for _ in 0..200 {
        let mut client = std::net::TcpStream::connect(address).expect("connected");
        let request = "GET / HTTP/1.1\r\nhost: shard\r\nconnection: close\r\n\r\n";
        io::Write::write_all(&mut client, request.as_bytes()).expect("sent");
        let answer = io::read_to_string(&mut client).expect("answered");
        let shard: usize = answer[answer.len() - 1..].parse().expect("a shard");
        seen[shard] = true;
    }
    assert_eq!(seen, [true; 2]);
}
