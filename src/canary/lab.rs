//! Two network namespaces joined by a cable that leads nowhere else.
//!
//! The namespaces have no name and are held open by descriptors alone, so that they vanish with
//! the process that built them, however it ends.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::IpAddr,
    os::{
        fd::{AsRawFd, OwnedFd},
        linux::fs::MetadataExt,
    },
    process::{Command, Stdio},
};

use super::{
    addresses::{
        BLACKHOLE4, BLACKHOLE6, BROADCAST4, FIREWALLED4, MAKER_ADDRESS4, MAKER_ADDRESS6,
        MAKER_DEVICE, MAKER_MAC, MULTICAST4, PEER_ADDRESS4, PEER_ADDRESS6, PEER_DEVICE, PEER_MAC,
        PROHIBITED4, PROHIBITED6, SILENT4, SILENT6, UNREACHABLE4, UNREACHABLE6,
    },
    isolation::Isolation,
    kind::{Group, Kind},
    kinds::kinds,
    namespace::{LabError, new_namespace, place, within},
    peer::Peer,
};

/// How the ends of the cable come to know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Neighbours {
    /// They ask, as on any network.
    Discovered,
    /// They are told.
    Known,
}

impl Neighbours {
    /// What `ip -batch` reads to tell `device` that `addresses` are at `mac`. A device that asks
    /// nobody (`arp off`) joins no groups to be asked in either.
    fn told(self, device: &str, mac: &str, addresses: [IpAddr; 2]) -> String {
        match self {
            Self::Discovered => String::new(),
            Self::Known => {
                let [four, six] = addresses.map(|address| {
                    format!("neighbour add {address} lladdr {mac} dev {device} nud permanent\n")
                });
                format!("{four}{six}")
            }
        }
    }

    /// The word for it in `ip link set`.
    fn arp(self) -> &'static str {
        match self {
            Self::Discovered => "on",
            Self::Known => "off",
        }
    }
}

/// A maker's namespace, and a peer behind a cable that answers as the kinds need it.
#[derive(Debug)]
pub struct Lab {
    maker: OwnedFd,
    peer: OwnedFd,
    _service: Peer,
}

impl Lab {
    /// Builds one for all kinds; needs root and the program `ip`.
    pub fn build() -> Result<Self, LabError> {
        Self::build_with(&kinds().iter().collect::<Vec<_>>(), Neighbours::Discovered)
    }

    /// Builds one for the kinds that wait for no first word: its peer says nothing by itself, and
    /// nothing else is sent.
    pub fn build_quiet() -> Result<Self, LabError> {
        let quiet: Vec<_> = kinds()
            .iter()
            .filter(|kind| !kind.is_begun_by_peer())
            .collect();
        Self::build_with(&quiet, Neighbours::Known)
    }

    /// Builds one for some kinds: what only others need is neither opened nor set, nor asked of the
    /// kernel, which might load a module for it.
    ///
    /// The ends of its cable know each other, so that the kernel has nothing to send by itself: an
    /// observer that runs anyway sees canaries and no more.
    pub fn build_for(kinds: &[&'static Kind]) -> Result<Self, LabError> {
        Self::build_with(kinds, Neighbours::Known)
    }

    fn build_with(kinds: &[&'static Kind], neighbours: Neighbours) -> Result<Self, LabError> {
        let has = |group| kinds.iter().any(|kind| kind.group == group);
        let has_fast_open = kinds.iter().any(|kind| kind.needs_fast_open());
        let maker = new_namespace()?;
        let peer = new_namespace()?;
        let peer_path = format!("/proc/{}/fd/{}", std::process::id(), peer.as_raw_fd());
        within(&maker, || {
            if has(Group::Ping) {
                set("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")?;
            }
            configure(&maker_network(&peer_path, neighbours))?;
            if has(Group::Firewall) {
                install_packet_filter();
            }
            Ok(())
        })?;
        within(&peer, || configure(&peer_network(neighbours)))?;
        for namespace in [&maker, &peer] {
            within(namespace, || {
                if has_fast_open {
                    set("/proc/sys/net/ipv4/tcp_fastopen", "3")?;
                }
                Isolation::prove().map(drop).map_err(LabError::from)
            })?;
        }
        let service = Peer::start(&peer, kinds)?;
        Ok(Self {
            maker,
            peer,
            _service: service,
        })
    }

    /// Makes `command` start in the maker's namespace.
    pub fn place(&self, command: &mut Command) -> io::Result<()> {
        place(&self.maker, command)
    }

    /// Makes `command` start in the peer's namespace.
    pub fn place_at_peer(&self, command: &mut Command) -> io::Result<()> {
        place(&self.peer, command)
    }

    /// Runs `work` on a thread in the maker's namespace, with the proof that it is isolated.
    pub fn run_inside<T: Send>(
        &self,
        work: impl FnOnce(&Isolation) -> T + Send,
    ) -> Result<T, LabError> {
        within(&self.maker, || Ok(work(&Isolation::prove()?)))
    }

    /// Runs `work` on a thread in the peer's namespace, with the proof that it is isolated.
    pub fn run_beside<T: Send>(
        &self,
        work: impl FnOnce(&Isolation) -> T + Send,
    ) -> Result<T, LabError> {
        within(&self.peer, || Ok(work(&Isolation::prove()?)))
    }

    /// Inode of the maker's network namespace.
    pub fn namespace_inode(&self) -> io::Result<u64> {
        Ok(File::from(self.maker.try_clone()?).metadata()?.st_ino())
    }
}

fn set(path: &'static str, value: &str) -> Result<(), LabError> {
    fs::write(path, value).map_err(|cause| LabError::Setting { path, cause })
}

fn text_of_mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// What `ip -batch` reads in the maker's namespace.
fn maker_network(peer_namespace: &str, neighbours: Neighbours) -> String {
    let (own, other) = (text_of_mac(MAKER_MAC), text_of_mac(PEER_MAC));
    let peers = [PEER_ADDRESS4.into(), PEER_ADDRESS6.into()];
    let (arp, known) = (
        neighbours.arp(),
        neighbours.told(MAKER_DEVICE, &other, peers),
    );
    // No link-local addresses and no duplicate address detection: the kernel then sends nothing by
    // itself, and addresses can be used at once.
    format!(
        "link set lo up
link add {MAKER_DEVICE} address {own} type veth peer name {PEER_DEVICE} address {other} netns {peer_namespace}
link set {MAKER_DEVICE} addrgenmode none
link set {MAKER_DEVICE} arp {arp}
link set {MAKER_DEVICE} up
address add {MAKER_ADDRESS4}/24 broadcast {BROADCAST4} dev {MAKER_DEVICE}
address add {MAKER_ADDRESS6}/64 dev {MAKER_DEVICE} nodad
neighbour add {SILENT4} lladdr {other} dev {MAKER_DEVICE} nud permanent
neighbour add {SILENT6} lladdr {other} dev {MAKER_DEVICE} nud permanent
route add {MULTICAST4}/32 dev {MAKER_DEVICE}
route add unreachable {UNREACHABLE4}/32
route add unreachable {UNREACHABLE6}/128
route add blackhole {BLACKHOLE4}/32
route add blackhole {BLACKHOLE6}/128
route add prohibit {PROHIBITED4}/32
route add prohibit {PROHIBITED6}/128
{known}"
    )
}

fn peer_network(neighbours: Neighbours) -> String {
    let makers = [MAKER_ADDRESS4.into(), MAKER_ADDRESS6.into()];
    let known = neighbours.told(PEER_DEVICE, &text_of_mac(MAKER_MAC), makers);
    let arp = neighbours.arp();
    format!(
        "link set lo up
link set {PEER_DEVICE} addrgenmode none
link set {PEER_DEVICE} arp {arp}
link set {PEER_DEVICE} up
address add {PEER_ADDRESS4}/24 broadcast {BROADCAST4} dev {PEER_DEVICE}
address add {PEER_ADDRESS6}/64 dev {PEER_DEVICE} nodad
{known}"
    )
}

fn configure(batch: &str) -> Result<(), LabError> {
    Isolation::prove()?;
    let output = fed(Command::new("ip").args(["-batch", "-"]), batch)
        .map_err(|cause| LabError::Network(cause.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Network(message))
}

/// Best effort: the kind that needs it says so when it is not there.
fn install_packet_filter() {
    let rules = format!(
        "table ip canary {{ chain output {{ type filter hook output priority 0; \
         ip daddr {FIREWALLED4} drop; }}; }}"
    );
    if Isolation::prove().is_ok() {
        drop(fed(Command::new("nft").args(["-f", "-"]), &rules));
    }
}

fn fed(command: &mut Command, input: &str) -> io::Result<std::process::Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that fails early closes its input: its own message says more than EPIPE.
        drop(stdin.write_all(input.as_bytes()));
    }
    child.wait_with_output()
}
