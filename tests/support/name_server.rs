//! A DNS server of the test: it answers as it is told, by UDP and TCP on one port of loopback, and
//! keeps what it was asked.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use annulet::net::{TcpListener, UdpSocket};
use annulet::spawn;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// One question that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// As it was written, without the dot at the end.
    pub(crate) name: String,
    pub(crate) kind: RecordType,
    pub(crate) by_tcp: bool,
    /// Who asked: each time from another port.
    pub(crate) from: SocketAddr,
    pub(crate) message: Message,
    /// How often this name was asked for this kind before.
    pub(crate) before: usize,
}

impl Asked {
    /// An answer with these records, in the order of their text: `name ttl data`, where the data is
    /// an address or the name that the first one is an alias of.
    pub(crate) fn answer(&self, records: &[&str]) -> Message {
        let mut answer = self.message.clone().into_response();
        answer.metadata.recursion_available = true;
        answer.add_answers(records.iter().map(|text| record(text)));
        answer
    }

    /// The address if it is of the kind that was asked for, else none.
    pub(crate) fn address(&self, address: &str) -> Message {
        let parsed: IpAddr = address.parse().expect("an address");
        if parsed.is_ipv6() == (self.kind == RecordType::AAAA) {
            return self.answer(&[&format!("{} 60 {address}", self.name)]);
        }
        self.answer(&[])
    }

    pub(crate) fn fails(&self, code: ResponseCode) -> Message {
        let mut answer = self.answer(&[]);
        answer.metadata.response_code = code;
        answer
    }
}

pub(crate) fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a name");
    name.set_fqdn(true);
    name
}

fn record(text: &str) -> Record {
    let words: Vec<&str> = text.split(' ').collect();
    let data = match words[2].parse() {
        Ok(IpAddr::V4(address)) => RData::A(A(address)),
        Ok(IpAddr::V6(address)) => RData::AAAA(AAAA(address)),
        Err(_) => RData::CNAME(CNAME(name(words[2]))),
    };
    Record::from_rdata(name(words[0]), words[1].parse().expect("a time"), data)
}

/// A server at work. It ends with the runtime.
#[derive(Clone)]
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Rc<RefCell<Vec<Asked>>>,
}

impl NameServer {
    /// One that sends what `script` says, in that order.
    pub(crate) async fn start(script: impl Fn(&Asked) -> Vec<Message> + 'static) -> Self {
        let (socket, listener) = same_port().await;
        let address = socket.local_addr().expect("bound");
        let asked = Rc::new(RefCell::new(Vec::new()));
        let server = Self { address, asked };
        let script = Rc::new(script);
        let (by_udp, by_tcp) = (server.clone(), server.clone());
        let same = Rc::clone(&script);
        spawn(async move {
            loop {
                let datagram = socket.recv().await.expect("a question");
                let from = datagram.meta.source_addr().expect("UDP says who");
                for answer in by_udp.note(&datagram, from, false, &*same) {
                    socket.send_to(answer, from).await.expect("sent");
                }
            }
        });
        spawn(async move {
            let mut unanswered = Vec::new();
            loop {
                let (stream, from) = listener.accept().await.expect("a connection");
                let mut heard = Vec::new();
                while let Some(bytes) = stream.recv().await.expect("no error") {
                    heard.extend_from_slice(&bytes);
                    if heard.len() >= 2 && heard.len() - 2 == be_length(&heard) {
                        break;
                    }
                }
                let answers = match heard.get(2..) {
                    Some(question) => by_tcp.note(question, from, true, &*script),
                    None => continue,
                };
                for answer in &answers {
                    let length = u16::try_from(answer.len()).expect("short");
                    // In two parts, as TCP may do.
                    let head = length.to_be_bytes().to_vec();
                    stream.write_all(head).await.expect("sent");
                    stream.write_all(answer.clone()).await.expect("sent");
                }
                if answers.is_empty() {
                    // It keeps the connection, and takes no slot for it.
                    unanswered.push(stream.into_std().await.expect("given up"));
                }
            }
        });
        server
    }

    fn note(
        &self,
        question: &[u8],
        from: SocketAddr,
        by_tcp: bool,
        script: &impl Fn(&Asked) -> Vec<Message>,
    ) -> Vec<Vec<u8>> {
        let message = Message::from_vec(question).expect("a question");
        let query = &message.queries[0];
        let (name, kind) = (query.name().to_ascii(), query.query_type());
        let name = name.trim_end_matches('.').to_owned();
        let same = |other: &&Asked| other.name == name && other.kind == kind;
        let before = self.asked.borrow().iter().filter(same).count();
        let asked = Asked {
            name,
            kind,
            by_tcp,
            from,
            message,
            before,
        };
        self.asked.borrow_mut().push(asked.clone());
        let answers = script(&asked).into_iter();
        answers
            .map(|answer| answer.to_vec().expect("it can be written"))
            .collect()
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// The names that it was asked for IPv4 addresses of.
    pub(crate) fn names(&self) -> Vec<String> {
        let asked = self.asked().into_iter();
        let four = asked.filter(|asked| asked.kind == RecordType::A);
        four.map(|asked| asked.name).collect()
    }
}

fn be_length(framed: &[u8]) -> usize {
    u16::from_be_bytes([framed[0], framed[1]]).into()
}

/// Both on one port: the system chooses one for the first, which the second may find in use.
async fn same_port() -> (UdpSocket, TcpListener) {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bound");
        let address = socket.local_addr().expect("bound");
        if let Ok(listener) = TcpListener::bind(address).await {
            return (socket, listener);
        }
    }
}
