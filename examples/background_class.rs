//! Work that computes beside a server that must answer: scheduling classes.
//!
//! Four tasks compute without end, in steps of 10 µs, and call `yield_if_needed` between them. In
//! the class of the server they are its equals: each has its slice of time before the server has
//! its turn. In a class of their own, beside a server with a latency goal, they have what the
//! server leaves, and it waits for one step at most. What a caller sees is printed three times:
//! with the work among equals, with the work in the background, and without any.

use std::hint;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use annulet::net::TcpListener;
use annulet::task::{Class, yield_if_needed};
use annulet::{TaskBuilder, spawn_blocking};

const CALLS: usize = 1_000;
const STEP: Duration = Duration::from_micros(10);
const PAUSE: Duration = Duration::from_micros(300);

#[annulet::main]
#[expect(clippy::print_stdout, reason = "the output of the example")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let among = answers(Class::DEFAULT, Some(Class::DEFAULT)).await?;

    let server = Class::new("server")
        .shares(1_000)
        .latency_goal(Duration::from_micros(50))
        .register()?;
    let background = Class::new("background").shares(100).register()?;

    let alone = answers(server, None).await?;
    let behind = answers(server, Some(background)).await?;

    println!("work                    p50        p99");
    for (name, times) in [
        ("among equals", &among),
        ("in the background", &behind),
        ("none", &alone),
    ] {
        let (median, slow) = (quantile(times, 0.5), quantile(times, 0.99));
        println!("{name:<18} {median:>9.1?} {slow:>10.1?}");
    }
    assert!(
        quantile(&behind, 0.5) * 2 < quantile(&among, 0.5),
        "the background stands in nobody's way"
    );
    Ok(())
}

/// How long a caller waits for answers of a server of one class, beside work of another.
async fn answers(
    server: Class,
    work: Option<Class>,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let echo = TaskBuilder::new().class(server).spawn(async move {
        let (stream, _) = listener.accept().await?;
        while let Some(message) = stream.recv().await? {
            stream.write_all(message).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    let workers: Vec<_> = work
        .iter()
        .flat_map(|class| [TaskBuilder::new().class(*class); 4])
        .map(|task| task.spawn(compute()))
        .collect();
    let times = spawn_blocking(move || call(address)).await??;
    for worker in workers {
        worker.abort();
    }
    echo.await??;
    Ok(times)
}

async fn compute() {
    loop {
        let started = Instant::now();
        while started.elapsed() < STEP {}
        yield_if_needed().await;
    }
}

/// A caller on a thread of its own.
fn call(address: SocketAddr) -> std::io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut message = [7; 64];
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        // Not at once: by then the shard is at its other work.
        let pause = Instant::now();
        while pause.elapsed() < PAUSE {
            hint::spin_loop();
        }
        let called = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        times.push(called.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// The time that a share of all does not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list of a thousand"
    )]
    let place = (sorted.len() as f64 * share) as usize;
    sorted[place.min(sorted.len() - 1)]
}
