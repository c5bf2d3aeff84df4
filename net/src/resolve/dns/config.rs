//! Which servers are asked, and how.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use hickory_proto::rr::Name;
use resolv_conf::{Config, ScopedIp};

use super::ask::PORT;

/// Which DNS servers to ask, and how: what `/etc/resolv.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsConfig {
    /// The servers, in the order in which they are asked.
    pub servers: Vec<SocketAddr>,
    /// Domains in which a name is looked for as well (none).
    pub search: Vec<String>,
    /// Dots in a name from which on it is looked for as it stands before the domains are tried (1).
    /// A name with a dot at its end is looked for only as it stands.
    pub dots: usize,
    /// How long a server may take to answer (5 s).
    pub timeout: Duration,
    /// How often each of them is asked (2).
    pub attempts: u32,
    /// Whether each question begins with another server (not so).
    pub rotate: bool,
    /// Whether only TCP is used (not so).
    pub tcp: bool,
    /// Whether IPv6 addresses are asked for (they are).
    pub ipv6: bool,
}

impl DnsConfig {
    /// These servers, and all else as a system has it that says nothing of it.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            tcp: false,
            ipv6: true,
        }
    }

    /// What a `resolv.conf` says: `nameserver`, `search`, `domain`, and of the options `ndots`,
    /// `timeout`, `attempts`, `rotate`, `use-vc` and `no-aaaa`. What it does not understand it
    /// passes over, as others do; without a server it is the one of this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulet_net::DnsConfig;
    ///
    /// let config = DnsConfig::parse(b"nameserver 10.0.0.2\nsearch corp.example\noptions ndots:2\n");
    /// assert_eq!(config.servers, [([10, 0, 0, 2], 53).into()]);
    /// assert_eq!((config.search, config.dots), (vec!["corp.example".to_owned()], 2));
    /// ```
    #[must_use]
    pub fn parse(resolv_conf: &[u8]) -> Self {
        let (parsed, _passed_over) = Config::parse_with_errors(resolv_conf);
        let mut servers: Vec<_> = parsed.nameservers.iter().filter_map(address).collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        let search = parsed.get_last_search_or_domain();
        Self {
            search: search.map(ToOwned::to_owned).collect(),
            dots: usize::try_from(parsed.ndots).unwrap_or(usize::MAX),
            timeout: Duration::from_secs(parsed.timeout.max(1).into()),
            attempts: parsed.attempts,
            rotate: parsed.rotate,
            tcp: parsed.use_vc,
            ipv6: !parsed.no_aaaa,
            ..Self::new(servers)
        }
    }

    /// The names that `name` may stand for, in the order in which they are asked for.
    pub(super) fn candidates(&self, name: &Name) -> Vec<Name> {
        let mut absolute = name.clone();
        absolute.set_fqdn(true);
        if name.is_fqdn() {
            return vec![absolute];
        }
        let domains = self.search.iter().filter_map(|domain| {
            // One that is too long together is no name.
            name.clone()
                .append_domain(&Name::from_str_relaxed(domain).ok()?)
                .ok()
        });
        let mut names: Vec<Name> = domains.collect();
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        let place = if dots >= self.dots { 0 } else { names.len() };
        names.insert(place, absolute);
        names
    }
}

fn address(server: &ScopedIp) -> Option<SocketAddr> {
    // The system knows the number of the interface that a scope names.
    (server.to_string().as_str(), PORT)
        .to_socket_addrs()
        .ok()?
        .next()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_proto::rr::Name;

    use super::DnsConfig;

    fn candidates(config: &DnsConfig, name: &str) -> Vec<String> {
        let name = Name::from_str_relaxed(name).expect("a name");
        let candidates = config.candidates(&name).into_iter();
        candidates.map(|name| name.to_ascii()).collect()
    }

    #[test]
    fn a_file_says_which_servers_are_asked_and_how() {
        let text = b"# of a test\nnameserver 10.0.0.2\nnameserver 2001:db8::2\nnonsense\n\
            search a.example b.example\noptions ndots:3 timeout:2 attempts:4 rotate use-vc no-aaaa\n";
        let config = DnsConfig::parse(text);
        let servers = ["10.0.0.2:53", "[2001:db8::2]:53"];
        assert_eq!(
            config.servers,
            servers.map(|server| server.parse().expect("an address"))
        );
        assert_eq!(config.search, ["a.example", "b.example"]);
        assert_eq!((config.dots, config.attempts), (3, 4));
        assert_eq!(config.timeout, Duration::from_secs(2));
        assert!(config.rotate && config.tcp && !config.ipv6);
    }

    #[test]
    fn a_file_that_says_nothing_means_the_server_of_this_machine() {
        let config = DnsConfig::parse(b"");
        let local = "127.0.0.1:53".parse().expect("an address");
        assert_eq!(config, DnsConfig::new(vec![local]));
    }

    #[test]
    fn dots_decide_whether_the_search_list_comes_first() {
        let config = DnsConfig::parse(b"search a.example b.example\noptions ndots:1\n");
        let names = candidates(&config, "www");
        assert_eq!(names, ["www.a.example.", "www.b.example.", "www."]);
        let names = candidates(&config, "www.x");
        assert_eq!(names, ["www.x.", "www.x.a.example.", "www.x.b.example."]);
        assert_eq!(candidates(&config, "www."), ["www."]);
    }
}
