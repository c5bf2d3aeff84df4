//! A store that speaks RESP, the protocol of Redis, on one shard.
//!
//! Teaches: state without locks, as the tasks of a shard take turns; receiving into the shard's own
//! buffers, where whole requests are read in place and only what is cut is kept; and pipelining:
//! however many requests one receive brings, their answers go out in one write. With an address it
//! serves until ctrl-c, for `redis-benchmark -P 16` or `redis-cli`:
//! `cargo run --release --example resp_server -- 127.0.0.1:6400`. Without one it asks itself.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::ops::Range;
use std::rc::Rc;
use std::str;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::time::sleep;
use annulet::{select, spawn};

/// A larger request is refused: nobody may fill our memory with one.
const REQUEST_MAX: usize = 1 << 20;
/// Words of a request at most.
const WORDS_MAX: usize = 1 << 10;

/// The words of one request, as places in what was received.
type Words = Vec<Range<usize>>;

enum Value {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

type Store = HashMap<Vec<u8>, Value>;

/// Why a request cannot be read: the connection ends after that.
type Refusal = &'static str;

/// The line that begins at `at`, without its end, and where the next begins. `None` if it is cut.
fn line(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = &input[at..];
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
    Some((line, at + end + 1))
}

/// The number after the first byte of a line.
fn count(line: &[u8], first: u8, most: usize) -> Result<usize, Refusal> {
    let digits = line.strip_prefix(&[first]).ok_or("expected another type")?;
    let number = str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    number
        .filter(|number| *number <= most)
        .ok_or("invalid length")
}

/// Reads one request into `words` and says where it ends. `None` if it is cut.
fn parse(input: &[u8], words: &mut Words) -> Result<Option<usize>, Refusal> {
    words.clear();
    let Some((head, mut at)) = line(input, 0) else {
        return Ok(None);
    };
    if !head.starts_with(b"*") {
        // As a person types it.
        let mut start = 0;
        for word in head.split(|byte| *byte == b' ') {
            words.push(start..start + word.len());
            start += word.len() + 1;
        }
        words.retain(|word| !word.is_empty());
        return Ok(Some(at));
    }
    for _ in 0..count(head, b'*', WORDS_MAX)? {
        let Some((head, start)) = line(input, at) else {
            return Ok(None);
        };
        let end = start + count(head, b'$', REQUEST_MAX)?;
        if input.len() < end + 2 {
            return Ok(None);
        }
        words.push(start..end);
        at = end + 2;
    }
    Ok(Some(at))
}

fn simple(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn number(out: &mut Vec<u8>, first: char, number: impl ToString) {
    simple(out, &format!("{first}{}", number.to_string()));
}

fn bulk(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        return simple(out, "$-1");
    };
    number(out, '$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

const WRONG_TYPE: &str = "-WRONGTYPE the key holds another kind of value";

/// The list of a key, which is made where there is none.
fn list<'a>(store: &'a mut Store, key: &[u8]) -> Result<&'a mut VecDeque<Vec<u8>>, &'static str> {
    let value = store.entry(key.to_vec());
    match value.or_insert_with(|| Value::List(VecDeque::new())) {
        Value::List(list) => Ok(list),
        Value::Text(_) => Err(WRONG_TYPE),
    }
}

fn text<'a>(store: &'a Store, key: &[u8]) -> Result<Option<&'a [u8]>, &'static str> {
    match store.get(key) {
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(Value::List(_)) => Err(WRONG_TYPE),
        None => Ok(None),
    }
}

fn integer(text: &[u8]) -> Result<i64, &'static str> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or("-ERR value is not an integer")
}

/// A place in a list of `len`, counted from its end where it is negative.
fn place(index: &[u8], len: usize) -> Result<usize, &'static str> {
    let index = integer(index)?;
    let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(if index < 0 {
        len.saturating_sub(back)
    } else {
        back
    })
}

/// Carries out one request and puts its answer at the end of `out`.
fn execute(store: &mut Store, words: &[&[u8]], out: &mut Vec<u8>) -> Result<(), &'static str> {
    let Some((name, args)) = words.split_first() else {
        return Ok(());
    };
    match (name.to_ascii_uppercase().as_slice(), args) {
        (b"PING", []) => simple(out, "+PONG"),
        (b"PING" | b"ECHO", [word]) => bulk(out, Some(word)),
        (b"SET", [key, value]) => {
            store.insert(key.to_vec(), Value::Text(value.to_vec()));
            simple(out, "+OK");
        }
        (b"MSET", pairs) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
            for pair in pairs.chunks_exact(2) {
                store.insert(pair[0].to_vec(), Value::Text(pair[1].to_vec()));
            }
            simple(out, "+OK");
        }
        (b"GET", [key]) => bulk(out, text(store, key)?),
        (b"INCR", [key]) => {
            let next = match text(store, key)? {
                Some(text) => integer(text)?.checked_add(1).ok_or("-ERR overflow")?,
                None => 1,
            };
            store.insert(key.to_vec(), Value::Text(next.to_string().into_bytes()));
            number(out, ':', next);
        }
        (b"DEL", keys) => {
            let gone = keys.iter().filter(|key| store.remove(**key).is_some());
            number(out, ':', gone.count());
        }
        (b"DBSIZE", []) => number(out, ':', store.len()),
        (b"LPUSH" | b"RPUSH" | b"LPOP" | b"RPOP" | b"LLEN" | b"LRANGE", [key, args @ ..]) => {
            execute_on_list(store, name, key, args, out)?;
        }
        // What clients ask before they begin.
        (b"CONFIG", [_, setting]) => {
            simple(out, "*2");
            bulk(out, Some(setting));
            bulk(out, Some(b""));
        }
        (b"COMMAND", _) => simple(out, "*0"),
        _ => return Err("-ERR unknown command, or not so many words"),
    }
    Ok(())
}

fn execute_on_list(
    store: &mut Store,
    name: &[u8],
    key: &[u8],
    args: &[&[u8]],
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let list = list(store, key)?;
    match (name.to_ascii_uppercase().as_slice(), args) {
        (b"LPUSH", values) => {
            values
                .iter()
                .for_each(|value| list.push_front(value.to_vec()));
            number(out, ':', list.len());
        }
        (b"RPUSH", values) => {
            values
                .iter()
                .for_each(|value| list.push_back(value.to_vec()));
            number(out, ':', list.len());
        }
        (b"LPOP", []) => bulk(out, list.pop_front().as_deref()),
        (b"RPOP", []) => bulk(out, list.pop_back().as_deref()),
        (b"LLEN", []) => number(out, ':', list.len()),
        (b"LRANGE", [first, last]) => {
            let (first, last) = (place(first, list.len())?, place(last, list.len())?);
            let wanted = list.iter().take(last.saturating_add(1)).skip(first);
            number(out, '*', wanted.len());
            wanted.for_each(|value| bulk(out, Some(value)));
        }
        _ => return Err("-ERR not so many words"),
    }
    if list.is_empty() {
        store.remove(key);
    }
    Ok(())
}

/// Answers every whole request of `input` and says how much of it that was.
fn answer(
    input: &[u8],
    words: &mut Words,
    store: &mut Store,
    out: &mut Vec<u8>,
) -> Result<usize, Refusal> {
    let mut done = 0;
    while let Some(end) = parse(&input[done..], words)? {
        let request = &input[done..];
        let words: Vec<&[u8]> = words.iter().map(|word| &request[word.clone()]).collect();
        if let Err(error) = execute(store, &words, out) {
            simple(out, error);
        }
        done += end;
    }
    Ok(done)
}

async fn serve(stream: TcpStream, store: Rc<RefCell<Store>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut words, mut cut, mut out) = (Words::new(), Vec::new(), Vec::new());
    while let Some(received) = stream.recv().await? {
        let answered = if cut.is_empty() {
            let answered = answer(&received, &mut words, &mut store.borrow_mut(), &mut out);
            cut.extend_from_slice(&received[answered.unwrap_or(received.len())..]);
            answered
        } else {
            cut.extend_from_slice(&received);
            let answered = answer(&cut, &mut words, &mut store.borrow_mut(), &mut out);
            cut.drain(..answered.unwrap_or(cut.len()));
            answered
        };
        // Given back before the write, which may take long.
        drop(received);
        let refusal = answered
            .err()
            .or((cut.len() > 2 * REQUEST_MAX).then_some("too much"));
        if let Some(refusal) = refusal {
            simple(&mut out, &format!("-ERR protocol error: {refusal}"));
        }
        if !out.is_empty() {
            (_, out) = stream.write_all(out).await?;
            out.clear();
        }
        if refusal.is_some() {
            break;
        }
    }
    Ok(())
}

async fn accept(listener: TcpListener) {
    let store = Rc::new(RefCell::new(Store::new()));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn(serve(stream, Rc::clone(&store)))),
            // Out of descriptors, most likely: some will come back.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

#[annulet::main]
async fn main() -> io::Result<()> {
    if let Some(address) = std::env::args().nth(1) {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        writeln!(io::stdout(), "RESP on {address}, until ctrl-c")?;
        let stop = annulet::signal::shutdown()?;
        select! {
            () = accept(listener) => {}
            _ = stop => {}
        }
        return Ok(());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let server = spawn(accept(listener));
    // Four requests at once, of which the last is cut; then its rest.
    let requests =
        "PING\r\nSET color green\r\n*2\r\n$3\r\nGET\r\n$5\r\ncolor\r\n*2\r\n$4\r\nINCR\r\n$3";
    client.write_all(requests).await?;
    client.write_all("\r\nrun\r\n").await?;
    let mut answers = Vec::new();
    while answers.len() < b"+PONG\r\n+OK\r\n$5\r\ngreen\r\n:1\r\n".len() {
        let lease = client.recv().await?;
        answers.extend_from_slice(&lease.ok_or(io::ErrorKind::UnexpectedEof)?);
    }
    assert_eq!(answers, b"+PONG\r\n+OK\r\n$5\r\ngreen\r\n:1\r\n");
    writeln!(io::stdout(), "four requests, four answers")?;
    server.abort();
    Ok(())
}
