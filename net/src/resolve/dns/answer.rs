//! What an answer means: the addresses at the end of its aliases, and for how long that is so.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};

/// Aliases that lead from one to the next before it is given up.
pub(super) const ALIASES_MAX: usize = 16;

/// Addresses of a name; no address where it has none of the family.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) ttl: Duration,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            ttl: Duration::MAX,
        }
    }
}

impl Found {
    /// Both, good for as long as both are.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.addresses.extend(other.addresses);
        self.ttl = self.ttl.min(other.ttl);
        self
    }

    /// Takes what `answer` says of addresses of `kind` behind `name`. Where that is an alias, which
    /// the server did not look up, it is the name to ask for next.
    pub(super) fn take(
        &mut self,
        answer: &Message,
        name: &Name,
        kind: RecordType,
    ) -> io::Result<Option<Name>> {
        let mut name = name;
        // An alias is taken once: those that lead in a circle come to an end here.
        for aliases in 0..=ALIASES_MAX {
            let mut alias = None;
            for record in answer.answers.iter().filter(|record| record.name == *name) {
                let address = match &record.data {
                    RData::A(address) if kind == RecordType::A => IpAddr::from(address.0),
                    RData::AAAA(address) if kind == RecordType::AAAA => IpAddr::from(address.0),
                    RData::CNAME(target) => {
                        alias = Some(&target.0);
                        self.bound(record.ttl);
                        continue;
                    }
                    _ => continue,
                };
                self.addresses.push(SocketAddr::new(address, 0));
                self.bound(record.ttl);
            }
            match alias {
                Some(alias) if self.addresses.is_empty() => name = alias,
                _ => {
                    let ends_here = aliases == 0 || answer.metadata.recursion_available;
                    let found = ends_here || !self.addresses.is_empty();
                    return Ok((!found).then(|| name.clone()));
                }
            }
        }
        Err(endless())
    }

    fn bound(&mut self, ttl_s: u32) {
        // What has the highest bit is no time, and is taken for none (RFC 2181).
        let ttl_s = i32::try_from(ttl_s).map_or(0, i32::cast_unsigned);
        self.ttl = self.ttl.min(Duration::from_secs(ttl_s.into()));
    }
}

pub(super) fn endless() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its aliases have no end")
}
