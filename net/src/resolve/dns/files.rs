//! What the system says in files: which names it knows, and which servers it asks.
//!
//! A lookup has the pool look whether a file has another time or length than when it was read, and
//! read it again if so.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use annulet_runtime::spawn_blocking;

use super::config::DnsConfig;
use super::places;

/// By names in lower case; the addresses in the file's order.
type Hosts = HashMap<String, Vec<IpAddr>>;

/// When a file was written last, and how long it is. None of one that there is not.
type Stamp = Option<(SystemTime, u64)>;

/// What was read, and from which state of the files.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) config: DnsConfig,
    pub(super) hosts: Hosts,
    stamps: [Stamp; 2],
}

#[derive(Clone, Debug)]
pub(super) struct Files {
    paths: Paths,
    known: RefCell<Option<Arc<Known>>>,
}

#[derive(Clone, Debug)]
struct Paths {
    config: Source,
    hosts: Option<PathBuf>,
}

#[derive(Clone, Debug)]
enum Source {
    Given(DnsConfig),
    #[cfg_attr(windows, expect(dead_code, reason = "servers are in no file there"))]
    File(PathBuf),
}

impl Files {
    pub(super) fn given(config: DnsConfig) -> Self {
        Self::new(Source::Given(config))
    }

    #[cfg(unix)]
    pub(super) fn system() -> Self {
        Self::new(Source::File(places::config()))
    }

    fn new(config: Source) -> Self {
        let hosts = Some(places::hosts());
        Self {
            paths: Paths { config, hosts },
            known: RefCell::new(None),
        }
    }

    pub(super) fn set_hosts(&mut self, path: Option<PathBuf>) {
        self.paths.hosts = path;
        self.known.take();
    }

    /// What they say now.
    pub(super) async fn read(&self) -> io::Result<Arc<Known>> {
        let paths = self.paths.clone();
        let known = self.known.borrow().clone();
        let read = spawn_blocking(move || paths.read(known)).await;
        let known = read.map_err(io::Error::other)??;
        *self.known.borrow_mut() = Some(Arc::clone(&known));
        Ok(known)
    }
}

impl Paths {
    fn read(&self, known: Option<Arc<Known>>) -> io::Result<Arc<Known>> {
        let config = match &self.config {
            Source::Given(_) => None,
            Source::File(path) => Some(path.as_path()),
        };
        // Before they are read: one that is written meanwhile is read again the next time.
        let stamps = [config, self.hosts.as_deref()].map(|path| path.and_then(stamp));
        if let Some(known) = known
            && known.stamps == stamps
        {
            return Ok(known);
        }
        let config = match &self.config {
            Source::Given(config) => config.clone(),
            Source::File(path) => DnsConfig::parse(&contents(path)?),
        };
        let hosts = match &self.hosts {
            Some(path) => hosts(&String::from_utf8_lossy(&contents(path)?)),
            None => Hosts::new(),
        };
        Ok(Arc::new(Known {
            config,
            hosts,
            stamps,
        }))
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Of a file that there is not, nothing.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Lines of an address and its names, with comments behind `#`.
fn hosts(text: &str) -> Hosts {
    let mut hosts = Hosts::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        for name in words {
            let addresses = hosts.entry(name.to_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    hosts
}
