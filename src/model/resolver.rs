//! How programs of a host find the addresses of names, as its files say.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What the files of a host say of how names are resolved there. Kept for judgement: nothing is looked up
/// by it, and no flow is named by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolverConfiguration {
    /// Where `/etc/resolv.conf` leads to, if it is a link.
    pub resolv_conf: Option<String>,
    /// The servers that the C library asks.
    pub nameservers: Vec<IpAddr>,
    /// The domains that it tries short names in.
    pub search: Vec<String>,
    /// Its options, such as `use-vc` or `edns0`.
    pub options: Vec<String>,
    /// The service that answers on this host, if it has ever been configured or run.
    pub resolved: Option<ResolvedConfiguration>,
    /// Where the C library looks for hosts, in order: the line `hosts` of `/etc/nsswitch.conf`.
    pub hosts_sources: Vec<String>,
    /// Whether the name service cache daemon answers in place of these.
    pub has_nscd: bool,
    /// The addresses that `/etc/hosts` names, but for those of the host itself.
    pub hosts: Vec<HostsLine>,
    /// Lines and words of these files that made no sense or had no room.
    pub left_out: u64,
}

/// What systemd-resolved is configured with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedConfiguration {
    /// `DNS=`, as it was written: addresses, perhaps with a port and a server name.
    pub servers: Vec<String>,
    /// `FallbackDNS=`, likewise.
    pub fallback_servers: Vec<String>,
    /// `Domains=`.
    pub domains: Vec<String>,
    /// `DNSOverTLS=`.
    pub dns_over_tls: Option<String>,
    /// `LLMNR=`.
    pub llmnr: Option<String>,
    /// `MulticastDNS=`.
    pub multicast_dns: Option<String>,
    /// `DNSStubListener=`.
    pub stub_listener: Option<String>,
    /// The servers that it asks now: those of the file that it writes for others.
    pub asks: Vec<IpAddr>,
}

/// A line of `/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsLine {
    /// The address.
    pub address: IpAddr,
    /// Its names.
    pub names: Vec<String>,
}

/// A configuration, and when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedResolver {
    /// When it was read.
    pub at: Timestamp,
    /// What it was.
    #[serde(flatten)]
    pub configuration: ResolverConfiguration,
}

/// The key among a watch period's settings of the configurations that were read in it, oldest first.
pub const RESOLVERS: &str = "resolvers";

/// Sources of hosts that ask by packets of the process itself, or ask nobody.
const SEEN_SOURCES: [&str; 5] = ["files", "dns", "myhostname", "mymachines", "db"];

impl ResolverConfiguration {
    /// The sources whose answers do not reach whoever asks as packets: names of such answers are known
    /// of the host only.
    pub fn unseen_sources(&self) -> Vec<&str> {
        let sources = self.hosts_sources.iter().map(String::as_str);
        sources
            .filter(|source| !source.starts_with('[') && !SEEN_SOURCES.contains(source))
            .chain(self.has_nscd.then_some("nscd"))
            .collect()
    }
}
