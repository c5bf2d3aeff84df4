//! Questions, and the servers that answer them.
//!
//! A question goes to one server after the other until one answers: with the addresses, or that
//! there are none. Each time it has a new id, and a new socket that is connected to the server, so
//! that the kernel passes over what comes from elsewhere and tells of a server that is not there.
//! What has another id, or answers another question, is somebody's guess, and is not listened to. A
//! datagram that says that it is cut short is followed by the same question over TCP.
//!
//! There is no EDNS: without it an answer is at most 512 bytes and no datagram comes in pieces,
//! which are what can be forged best; lists of addresses nearly always fit.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;

use annulet_runtime::time::timeout;
use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::answer::{ALIASES_MAX, Found, endless};
use super::config::DnsConfig;
use crate::tcp::TcpStream;
use crate::udp::UdpSocket;

/// Where DNS servers listen.
pub(super) const PORT: u16 = 53;
/// More than a server may send in a datagram.
const DATAGRAM_BYTES: usize = 2048;

/// Which of the servers is asked first.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    pub(super) mixed_case: bool,
    first: Cell<usize>,
}

impl Servers {
    /// The addresses of `kind` that `name` has, or its aliases.
    pub(super) async fn find(
        &self,
        name: &Name,
        kind: RecordType,
        config: &DnsConfig,
    ) -> io::Result<Found> {
        let mut name = name.clone();
        let mut found = Found::default();
        for _ in 0..ALIASES_MAX {
            let answer = self.ask(&name, kind, config).await?;
            match found.take(&answer, &name, kind)? {
                Some(alias) => name = alias,
                None => return Ok(found),
            }
        }
        Err(endless())
    }

    async fn ask(&self, name: &Name, kind: RecordType, config: &DnsConfig) -> io::Result<Message> {
        let count = config.servers.len();
        let first = self.first.get();
        if config.rotate {
            self.first.set(first.wrapping_add(1));
        }
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "there is no DNS server to ask");
        for attempt in 0..count.saturating_mul(config.attempts.max(1) as usize) {
            let at = first.wrapping_add(attempt) % count;
            let question = Question::new(name, kind, self.mixed_case)?;
            match question.put_to(config.servers[at], config).await {
                Ok(answer) => {
                    if !config.rotate {
                        self.first.set(at);
                    }
                    return Ok(answer);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// One question, as it is put to one server.
struct Question {
    id: u16,
    query: Query,
    mixed_case: bool,
    bytes: Vec<u8>,
}

/// What a message is to a question.
enum Heard {
    /// Not for it.
    Nothing,
    CutShort,
    Answer(Message),
}

impl Question {
    fn new(name: &Name, kind: RecordType, mixed_case: bool) -> io::Result<Self> {
        let mut name = name.clone();
        if mixed_case {
            name.randomize_label_case();
        }
        let query = Query::query(name, kind);
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        Ok(Self {
            id: message.metadata.id,
            query,
            mixed_case,
            bytes: message.to_vec().map_err(io::Error::other)?,
        })
    }

    async fn put_to(&self, server: SocketAddr, config: &DnsConfig) -> io::Result<Message> {
        let in_time = || {
            let message = format!("the DNS server {server} did not answer in time");
            io::Error::new(io::ErrorKind::TimedOut, message)
        };
        if !config.tcp {
            let heard = timeout(config.timeout, self.by_datagram(server)).await;
            if let Some(answer) = heard.map_err(|_| in_time())?? {
                return Ok(answer);
            }
        }
        let heard = timeout(config.timeout, self.by_stream(server)).await;
        heard.map_err(|_| in_time())?
    }

    /// The answer, or `None` if it does not fit into a datagram.
    async fn by_datagram(&self, server: SocketAddr) -> io::Result<Option<Message>> {
        let socket = UdpSocket::bind(UdpSocket::any_for(server)).await?;
        socket.connect(server).await?;
        socket.send(self.bytes.clone()).await?;
        let mut buf = Vec::with_capacity(DATAGRAM_BYTES);
        loop {
            buf.clear();
            (_, buf) = socket.read(buf).await?;
            match self.hear(&buf)? {
                Heard::Nothing => {}
                Heard::CutShort => return Ok(None),
                Heard::Answer(answer) => return Ok(Some(answer)),
            }
        }
    }

    async fn by_stream(&self, server: SocketAddr) -> io::Result<Message> {
        let stream = TcpStream::connect_one(server, |_| Ok(())).await?;
        let length = u16::try_from(self.bytes.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &self.bytes].concat();
        stream.write_all(framed).await?;
        let mut heard = Vec::new();
        loop {
            if let Some((length, rest)) = heard.split_first_chunk::<2>()
                && let Some(message) = rest.get(..u16::from_be_bytes(*length).into())
            {
                return match self.hear(message)? {
                    Heard::Answer(answer) => Ok(answer),
                    _ => Err(invalid("a DNS server answered another question")),
                };
            }
            match stream.recv().await? {
                Some(bytes) => heard.extend_from_slice(&bytes),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// An error is the server's: that it cannot or does not want to answer.
    fn hear(&self, bytes: &[u8]) -> io::Result<Heard> {
        let [high, low, flags, ..] = *bytes else {
            return Ok(Heard::Nothing);
        };
        let is_response = flags & 0x80 != 0;
        if u16::from_be_bytes([high, low]) != self.id || !is_response {
            return Ok(Heard::Nothing);
        }
        // Seen before the rest is looked at, as it may end anywhere.
        let is_cut_short = flags & 0x02 != 0;
        if is_cut_short {
            return Ok(Heard::CutShort);
        }
        let message = Message::from_vec(bytes).map_err(|error| invalid(&error.to_string()))?;
        let code = message.metadata.response_code;
        let is_known = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
        // A server that fails may have failed to read the question.
        if !self.is_of(&message) && (is_known || !message.queries.is_empty()) {
            return Ok(Heard::Nothing);
        }
        if !is_known {
            return Err(io::Error::other(format!("the DNS server says: {code}")));
        }
        Ok(Heard::Answer(message))
    }

    fn is_of(&self, message: &Message) -> bool {
        let same_case = |query: &Query| query.name().eq_case(self.query.name());
        message.metadata.message_type == MessageType::Response
            && matches!(&message.queries[..], [query] if *query == self.query
                && (!self.mixed_case || same_case(query)))
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
