//! The kernel side's readers of packets, and what etherparse makes of the same bytes.

use std::net::Ipv6Addr;

use etherparse::{IpNumber, IpSlice, Ipv4Slice, Ipv6ExtensionSlice, Ipv6Slice};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The readers go past this many extension headers.
const EXTENSION_HEADERS: usize = 4;

/// What a reader says of a packet; `packet_seen` of `native/packet_seen.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub address: [u8; 16],
    pub payload_bytes: u32,
    pub port: u16,
    pub source_port: u16,
    pub protocol: u8,
    pub has_address: bool,
    reserved: u16,
}

unsafe extern "C" {
    fn read_packet(data: *const u8, length: u32, ethernet_type: u16, seen: *mut Seen) -> i32;
}

/// What the reader of outgoing packets makes of one; none if it is no packet to it.
pub fn outgoing(packet: &[u8], is_version_6: bool) -> Option<Seen> {
    let mut seen = Seen::default();
    let length = u32::try_from(packet.len()).expect("inputs are small");
    let ethernet_type = if is_version_6 { IPV6 } else { IPV4 };
    // SAFETY: the function reads `length` bytes at `data` at most, and fills in `seen`.
    let is_packet =
        unsafe { read_packet(packet.as_ptr(), length, ethernet_type, &raw mut seen) } != 0;
    is_packet.then_some(seen)
}

/// What etherparse makes of a packet of that version; none unless it is one from its first byte to
/// its last, and of a form that the readers claim to know.
pub fn expected(packet: &[u8], is_version_6: bool) -> Option<Seen> {
    let (address, payload, is_later_fragment) = match IpSlice::from_slice(packet).ok()? {
        IpSlice::Ipv4(slice) if !is_version_6 => of_version_4(&slice)?,
        IpSlice::Ipv6(slice) if is_version_6 => of_version_6(&slice)?,
        IpSlice::Ipv4(_) | IpSlice::Ipv6(_) => return None,
    };
    let (protocol, content) = payload;
    let is_whole = packet.as_ptr_range().end == content.as_ptr_range().end;
    if !is_whole {
        return None;
    }
    let mut seen = Seen {
        address: address.octets(),
        protocol: protocol.0,
        has_address: true,
        ..Seen::default()
    };
    let header = match protocol {
        IpNumber::UDP | UDP_LITE if !is_later_fragment => 8,
        _ => 0,
    };
    seen.payload_bytes = u32::try_from(content.len().saturating_sub(header)).ok()?;
    let has_ports = [
        IpNumber::TCP,
        IpNumber::UDP,
        IpNumber::SCTP,
        IpNumber::DCCP,
        UDP_LITE,
    ]
    .contains(&protocol);
    if has_ports && !is_later_fragment {
        let ports = content.first_chunk::<4>()?;
        seen.source_port = u16::from_be_bytes([ports[0], ports[1]]);
        seen.port = u16::from_be_bytes([ports[2], ports[3]]);
    }
    Some(seen)
}

const UDP_LITE: IpNumber = IpNumber(136);

type Read<'a> = (Ipv6Addr, (IpNumber, &'a [u8]), bool);

fn of_version_4<'a>(slice: &Ipv4Slice<'a>) -> Option<Read<'a>> {
    let header = slice.header();
    // Etherparse looks behind an authentication header; what is there may be encrypted as well.
    if slice.extensions().auth.is_some() {
        return None;
    }
    let payload = (header.protocol(), slice.payload().payload);
    let is_later = header.fragments_offset().value() != 0;
    Some((
        header.destination_addr().to_ipv6_mapped(),
        payload,
        is_later,
    ))
}

fn of_version_6<'a>(slice: &Ipv6Slice<'a>) -> Option<Read<'a>> {
    let mut number_of_headers = 0;
    let mut fragments = 0;
    let mut is_later = false;
    for extension in slice.extensions().clone() {
        number_of_headers += 1;
        match extension {
            Ipv6ExtensionSlice::Authentication(_) => return None,
            Ipv6ExtensionSlice::Fragment(fragment) => {
                fragments += 1;
                // Its offset is the upper 13 bits (RFC 8200, 4.5); etherparse 0.18 takes others.
                let field = u16::from_be_bytes([fragment.slice()[2], fragment.slice()[3]]);
                is_later |= field >> 3 != 0;
            }
            // Etherparse takes what follows in a later fragment for headers, which it is not.
            _ if is_later => return None,
            _ => {}
        }
    }
    if number_of_headers > EXTENSION_HEADERS || fragments > 1 {
        return None;
    }
    let payload = slice.payload();
    let payload = (payload.ip_number, payload.payload);
    Some((slice.header().destination_addr(), payload, is_later))
}
