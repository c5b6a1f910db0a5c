//! Who has which address in the laboratory, and what is in the way of each.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The maker's address.
pub const MAKER_ADDRESS4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The peer's address.
pub const PEER_ADDRESS4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The maker's IPv6 address.
pub const MAKER_ADDRESS6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// The peer's IPv6 address.
pub const PEER_ADDRESS6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
/// A port of the peer that accepts connections and takes datagrams, and is no kind's own.
pub const OPEN_PORT: u16 = 20_777;

/// Packets for it reach the peer, which drops them.
pub const SILENT4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
pub(super) const SILENT6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 3);
/// A packet filter refuses it, if the laboratory has one.
pub(super) const FIREWALLED4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 4);
pub(super) const BROADCAST4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 255);
pub(super) const MULTICAST4: Ipv4Addr = Ipv4Addr::new(239, 77, 0, 1);
pub(super) const MULTICAST6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 0x77);
pub(super) const NO_ROUTE4: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
pub(super) const NO_ROUTE6: Ipv6Addr = Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 1);
pub(super) const UNREACHABLE4: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
pub(super) const UNREACHABLE6: Ipv6Addr = Ipv6Addr::new(0xfd79, 0, 0, 0, 0, 0, 0, 1);
pub(super) const BLACKHOLE4: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 1);
pub(super) const BLACKHOLE6: Ipv6Addr = Ipv6Addr::new(0xfd80, 0, 0, 0, 0, 0, 0, 1);
pub(super) const PROHIBITED4: Ipv4Addr = Ipv4Addr::new(10, 81, 0, 1);
pub(super) const PROHIBITED6: Ipv6Addr = Ipv6Addr::new(0xfd81, 0, 0, 0, 0, 0, 0, 1);

pub(super) const MAKER_DEVICE: &str = "canary0";
pub(super) const PEER_DEVICE: &str = "canary1";
pub(super) const MAKER_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 1];
pub(super) const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 2];
