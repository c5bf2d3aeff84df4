//! A pool of connections with a bound, and a health check that replaces the dead ones.
//!
//! Teaches: a `Semaphore` as the bound, and what is idle in a plain `RefCell`, as tasks of a shard
//! share without locks; a guard that gives its connection back when it is dropped, but never one
//! that was left in the middle of a question; and a background task on an `interval` that ends when
//! a `CancellationToken` says so. To wait for a connection no longer than so long is
//! `timeout(limit, pool.acquire())`, as with everything that waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::sync::{CancellationToken, Permit, Semaphore, watch};
use annulet::time::{interval, timeout};
use annulet::{select, spawn, try_join_all};

/// Connections at most.
const MOST: usize = 4;
/// A real pool would look every few seconds.
const CHECK_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(5);

async fn ask(connection: &TcpStream, question: &str) -> io::Result<String> {
    connection.write_all(format!("{question}\n")).await?;
    let answer = connection.recv().await?;
    let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}

struct Pool {
    server: SocketAddr,
    /// Whoever has a connection has a permit.
    permits: Semaphore,
    idle: RefCell<VecDeque<TcpStream>>,
}

impl Pool {
    /// A connection, once there is one; who waits longest is first.
    async fn acquire(&self) -> io::Result<Borrowed<'_>> {
        let permit = self.permits.acquire().await.map_err(io::Error::other)?;
        let idle = self.idle.borrow_mut().pop_back();
        let connection = match idle {
            Some(connection) => connection,
            None => TcpStream::connect(self.server).await?,
        };
        Ok(Borrowed {
            pool: self,
            connection: Some(connection),
            _permit: permit,
        })
    }

    /// Asks idle connections how they are, again and again, until told to stop.
    async fn keep_healthy(&self, stop: CancellationToken, dead: watch::Sender<usize>) {
        let mut ticks = interval(CHECK_EVERY);
        loop {
            select! {
                () = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let idle = self.idle.borrow().len();
            for _ in 0..idle {
                // If all permits are taken, all connections are in use, and nobody need ask.
                let Ok(_permit) = self.permits.try_acquire() else {
                    break;
                };
                let oldest = self.idle.borrow_mut().pop_front();
                let Some(connection) = oldest else { break };
                let pong = timeout(PATIENCE, ask(&connection, "ping")).await;
                if matches!(pong, Ok(Ok(pong)) if pong == "pong") {
                    self.idle.borrow_mut().push_back(connection);
                } else if let Ok(fresh) = TcpStream::connect(self.server).await {
                    self.idle.borrow_mut().push_back(fresh);
                    dead.send_modify(|dead| *dead += 1);
                }
            }
        }
    }
}

/// A connection in use. Goes back to the pool when it is dropped.
struct Borrowed<'a> {
    pool: &'a Pool,
    connection: Option<TcpStream>,
    /// Given back after the connection, so that the next in line finds it.
    _permit: Permit<'a>,
}

impl Borrowed<'_> {
    async fn ask(&mut self, question: &str) -> io::Result<String> {
        // Out of our hands until the answer is here. If this future is dropped before, the
        // connection is closed: nobody is to get the answer to another's question.
        let connection = self.connection.take().ok_or(io::ErrorKind::NotConnected)?;
        let answer = ask(&connection, question).await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.pool.idle.borrow_mut().extend(self.connection.take());
    }
}

/// The other side: answers questions, and closes its connections when it restarts.
async fn serve(listener: TcpListener, restart: Rc<watch::Sender<()>>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let mut restarts = restart.subscribe();
        spawn(async move {
            loop {
                let question = select! {
                    question = stream.recv() => question?,
                    _restart = restarts.changed() => None,
                };
                let answer = match question.as_deref() {
                    None => return Ok::<_, io::Error>(()),
                    Some(b"ping\n") => "pong\n",
                    Some(b"a hard one\n") => pending().await,
                    Some(_) => "42\n",
                };
                stream.write_all(answer).await?;
            }
        });
    }
}

#[annulet::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let pool = Rc::new(Pool {
        server: listener.local_addr()?,
        permits: Semaphore::new(MOST),
        idle: RefCell::default(),
    });
    let restart = Rc::new(watch::channel(()).0);
    let server = spawn(serve(listener, Rc::clone(&restart)));
    let (stop, (dead, mut found_dead)) = (CancellationToken::new(), watch::channel(0));
    let (checked, told) = (Rc::clone(&pool), stop.clone());
    let health = spawn(async move { checked.keep_healthy(told, dead).await });

    // Forty questions at once, over four connections.
    let most = Cell::new(0);
    let ask = async |number: u32| {
        let mut connection = pool.acquire().await?;
        most.set(most.get().max(MOST - pool.permits.available_permits()));
        connection.ask(&format!("question {number}")).await
    };
    let answers = try_join_all((0..40).map(ask)).await?;
    assert!(answers.iter().all(|answer| answer == "42"));
    assert_eq!(most.get(), MOST);
    writeln!(out, "{} answers over {MOST} connections", answers.len())?;

    // Whoever gives up a question gives up its connection: the answer may still come.
    let mut connection = pool.acquire().await?;
    let given_up = timeout(Duration::from_millis(10), connection.ask("a hard one")).await;
    assert!(given_up.is_err());
    drop(connection);

    // The server restarts. The others are dead, and the health check finds out before we do.
    restart.send_replace(());
    found_dead.wait_for(|dead| *dead == MOST - 1).await?;
    let answers = try_join_all((0..40).map(ask)).await?;
    assert!(answers.iter().all(|answer| answer == "42"));
    writeln!(out, "{} dead connections found and replaced", MOST - 1)?;

    // The end: the health check is told, and waited for.
    stop.cancel();
    health.await?;
    server.abort();
    Ok(())
}
