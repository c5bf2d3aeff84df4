//! Names, by asking DNS servers from the shard itself.
//!
//! The messages are those of `hickory-proto`; the sockets, the timers and the protocol are ours, so
//! that a lookup runs on the shard that asks, and ends when it is dropped. A name is looked for
//! here, in this order: an address is its own answer; the hosts file; `localhost` is this machine;
//! and then the servers, with the domains of the search list. [`ask`] is one question and one
//! answer, [`answer`] says what an answer means, [`files`] what the system says of both.
//!
//! Both families are asked for at the same time. Who connects hears of IPv6 addresses at once, and
//! of IPv4 ones when those of IPv6 are 50 ms late (RFC 8305).

mod answer;
mod ask;
mod config;
mod files;
#[cfg_attr(unix, path = "places_unix.rs")]
#[cfg_attr(windows, path = "places_windows.rs")]
mod places;

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use annulet_runtime::time::{now, sleep};
use hickory_proto::rr::{Name, RecordType};

use self::answer::Found;
use self::ask::Servers;
pub use self::config::DnsConfig;
use self::files::Files;
use super::{Early, Resolved, Resolver, Resolving};

/// How long IPv4 addresses that have come wait for those of IPv6.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Asks DNS servers, from the shard, without a thread and without the system's resolver.
///
/// The hosts file comes first, and is read again when it has changed; `localhost` and all below it
/// is this machine, whatever a server says. A server that does not answer in time, that refuses or
/// that fails is followed by the next one; the one that answered last is asked first. An answer
/// that is too long for a datagram is asked for by TCP. Each question has an id and a socket of its
/// own, whose port the system draws; datagrams that do not match are passed over.
///
/// Nothing is asked by multicast, and nothing is validated: who needs DNSSEC asks a server near by
/// that does it.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use annulet_net::{DnsConfig, DnsResolver, lookup, set_resolver};
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let mut config = DnsConfig::new(vec![([127, 0, 0, 53], 53).into()]);
/// config.timeout = std::time::Duration::from_secs(1);
/// set_resolver(Rc::new(DnsResolver::new(config)));
/// assert!(lookup("localhost:80").await?[0].ip().is_loopback());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DnsResolver(Rc<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    files: Files,
    servers: Servers,
}

impl DnsResolver {
    /// Asks the servers that `config` names.
    #[must_use]
    pub fn new(config: DnsConfig) -> Self {
        Self::over(Files::given(config))
    }

    /// Asks the servers that the system does, as `/etc/resolv.conf` says, which is read again when
    /// it has changed. Without one it is the server of this machine.
    #[cfg(unix)]
    #[must_use]
    pub fn system() -> Self {
        Self::over(Files::system())
    }

    fn over(files: Files) -> Self {
        Self(Rc::new(Parts {
            files,
            servers: Servers::default(),
        }))
    }

    /// Looks into this file for names that no server is asked for (`/etc/hosts`, or the like of
    /// this system); `None` for none.
    #[must_use]
    pub fn hosts_file(mut self, path: Option<PathBuf>) -> Self {
        Rc::make_mut(&mut self.0).files.set_hosts(path);
        self
    }

    /// Whether names are asked for in letters of random case, which the server has to give back
    /// (not so). It makes answers much harder to forge. A few servers do not give them back.
    #[must_use]
    pub fn mixed_case(mut self, on: bool) -> Self {
        Rc::make_mut(&mut self.0).servers.mixed_case = on;
        self
    }
}

impl Resolver for DnsResolver {
    fn resolve(&self, host: &str, early: Early) -> Resolving {
        let parts = Rc::clone(&self.0);
        let host = host.to_owned();
        Box::pin(async move { parts.resolve(&host, &early).await })
    }
}

impl Parts {
    async fn resolve(&self, host: &str, early: &Early) -> io::Result<Resolved> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(resolved(vec![address]));
        }
        let name = parsed(host)?;
        let known = self.files.read().await?;
        if let Some(addresses) = known.hosts.get(&host.trim_end_matches('.').to_lowercase()) {
            return Ok(resolved(addresses.clone()));
        }
        if name.is_localhost() {
            let loopbacks = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            return Ok(resolved(loopbacks.to_vec()));
        }
        for name in known.config.candidates(&name) {
            let four = self.servers.find(&name, RecordType::A, &known.config);
            let six = async {
                match known.config.ipv6 {
                    true => {
                        self.servers
                            .find(&name, RecordType::AAAA, &known.config)
                            .await
                    }
                    false => Ok(Found::default()),
                }
            };
            if let Some(resolved) = both(four, six, early).await? {
                return Ok(resolved);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "there is no such name",
        ))
    }
}

fn parsed(host: &str) -> io::Result<Name> {
    let strange = |letter: char| letter.is_control() || letter.is_whitespace();
    match Name::from_str_relaxed(host) {
        Ok(name) if name.num_labels() > 0 && !host.contains(strange) => Ok(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is no name",
        )),
    }
}

/// What is asked for one family, and how far that is.
struct Half<F> {
    asking: F,
    found: Option<io::Result<Found>>,
    told: bool,
}

impl<F: Future<Output = io::Result<Found>>> Half<Pin<&mut F>> {
    fn new(asking: Pin<&mut F>) -> Half<Pin<&mut F>> {
        Half {
            asking,
            found: None,
            told: false,
        }
    }

    /// Whether it has ended with this poll.
    fn ends(&mut self, cx: &mut Context<'_>) -> bool {
        if self.found.is_none()
            && let Poll::Ready(found) = self.asking.as_mut().poll(cx)
        {
            self.found = Some(found);
            return true;
        }
        false
    }

    fn tell(&mut self, early: &Early) {
        if let Some(Ok(found)) = &self.found
            && !std::mem::replace(&mut self.told, true)
        {
            early.tell(&found.addresses);
        }
    }
}

/// Both families' addresses, or `None` if there are none.
async fn both(
    four: impl Future<Output = io::Result<Found>>,
    six: impl Future<Output = io::Result<Found>>,
    early: &Early,
) -> io::Result<Option<Resolved>> {
    let (mut four, mut six) = (pin!(four), pin!(six));
    let (mut four, mut six) = (Half::new(four.as_mut()), Half::new(six.as_mut()));
    let mut delay = pin!(sleep(RESOLUTION_DELAY));
    let (four, six) = poll_fn(|cx| {
        if four.ends(cx) {
            delay.as_mut().reset(now() + RESOLUTION_DELAY);
        }
        six.ends(cx);
        if four.found.is_some() && six.found.is_some() {
            return Poll::Ready((four.found.take(), six.found.take()));
        }
        six.tell(early);
        if four.found.is_some() && delay.as_mut().poll(cx).is_ready() {
            four.tell(early);
        }
        Poll::Pending
    })
    .await;
    let (Some(four), Some(six)) = (four, six) else {
        unreachable!("both have ended");
    };
    let found = match (six, four) {
        (Ok(six), Ok(four)) => six.and(four),
        // Half an answer is of use, and not to be remembered.
        (Ok(half), Err(_)) | (Err(_), Ok(half)) if !half.addresses.is_empty() => Found {
            ttl: Duration::ZERO,
            ..half
        },
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    if found.addresses.is_empty() {
        return Ok(None);
    }
    Ok(Some(Resolved::new(sorted(found.addresses)).ttl(found.ttl)))
}

fn resolved(addresses: Vec<IpAddr>) -> Resolved {
    let addresses = addresses.into_iter();
    let addresses = addresses.map(|address| SocketAddr::new(address, 0));
    Resolved::new(sorted(addresses.collect()))
}

/// With those last that this machine has no route to.
fn sorted(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.len() > 1 {
        addresses.sort_by_cached_key(|address| !has_route(*address));
    }
    addresses
}

/// Whether the system would know where to send a packet. It sends none for this.
fn has_route(mut address: SocketAddr) -> bool {
    address.set_port(ask::PORT);
    UdpSocket::bind(crate::UdpSocket::any_for(address))
        .is_ok_and(|socket| socket.connect(address).is_ok())
}
