//! The kernel side's readers of packets, and what etherparse makes of the same bytes.

use std::net::Ipv6Addr;

use etherparse::{IpNumber, IpSlice, Ipv4Slice, Ipv6ExtensionSlice, Ipv6Slice};

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;

/// The readers go past this many extension headers.
const EXTENSION_HEADERS: usize = 4;

const UDP_LITE: IpNumber = IpNumber(136);

const MOST_CUTS: usize = 7;

/// What a reader says of a packet; `packet_seen` of `native/readers.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub address: [u8; 16],
    /// Readers of messages leave it out: the call tells.
    pub payload_bytes: u32,
    pub port: u16,
    pub local_port: u16,
    pub protocol: u8,
    pub has_address: bool,
    reserved: u16,
}

/// What a message is to its socket; `message_form` of `native/sent_payload.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Frame = 0,
    CookedFrame = 1,
    OwnHeader = 2,
}

/// Where a message lies; `iter_type` of the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Buffers = 0,
    KernelBuffers = 1,
    OneBuffer = 2,
}

/// A message, and how it lies in its sender's memory.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub data: &'a [u8],
    pub form: Form,
    pub memory: Memory,
    /// The call has taken all of it already.
    pub is_taken: bool,
    /// Of a frame without its link header, as the call names it.
    pub protocol: u16,
    /// Ends of all buffers but the last.
    pub cuts: &'a [u8],
}

#[repr(C)]
struct RawMessage {
    data: *const u8,
    length: u32,
    form: u32,
    memory: u32,
    is_taken: u32,
    protocol: u32,
    cuts: [u32; MOST_CUTS],
    cut_count: u32,
}

unsafe extern "C" {
    fn read_packet(
        data: *const u8,
        length: u32,
        ethernet_type: u16,
        is_incoming: bool,
        seen: *mut Seen,
    ) -> i32;
    fn read_message(message: *const RawMessage, seen: *mut Seen) -> i32;
}

/// What the reader of packets makes of one; none if it is no packet to it.
pub fn packet(packet: &[u8], ethernet_type: u16, is_incoming: bool) -> Option<Seen> {
    let mut seen = Seen::default();
    let length = length_of(packet);
    // SAFETY: the function reads `length` bytes at `data` at most, and fills in `seen`.
    let is_packet = unsafe {
        read_packet(
            packet.as_ptr(),
            length,
            ethernet_type,
            is_incoming,
            &raw mut seen,
        )
    };
    (is_packet != 0).then_some(seen)
}

/// What the reader of messages makes of one; none if it could not read it.
pub fn message(message: &Message<'_>) -> Option<Seen> {
    let length = length_of(message.data);
    let mut cuts = [0; MOST_CUTS];
    let cut_count = message.cuts.len().min(MOST_CUTS);
    for (cut, end) in cuts.iter_mut().zip(message.cuts) {
        *cut = u32::from(*end).min(length);
    }
    cuts[..cut_count].sort_unstable();
    let raw = RawMessage {
        data: message.data.as_ptr(),
        length,
        form: message.form as u32,
        memory: message.memory as u32,
        is_taken: u32::from(message.is_taken),
        protocol: u32::from(message.protocol),
        cuts,
        cut_count: u32::try_from(cut_count).expect("seven at most"),
    };
    let mut seen = Seen::default();
    // SAFETY: the function reads `length` bytes at `data` at most, at cuts in ascending order that
    // lie within, and fills in `seen`.
    let is_read = unsafe { read_message(&raw const raw, &raw mut seen) };
    (is_read != 0).then_some(seen)
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("inputs are small")
}

/// What etherparse makes of a packet of that type; none unless it is one of a form that the readers
/// claim to know. Payload is counted only where the packet ends where the bytes do.
pub fn expected(packet: &[u8], ethernet_type: u16, is_incoming: bool) -> Option<(Seen, bool)> {
    let read = match (IpSlice::from_slice(packet).ok()?, ethernet_type) {
        (IpSlice::Ipv4(slice), IPV4) => of_version_4(&slice, is_incoming)?,
        (IpSlice::Ipv6(slice), IPV6) => of_version_6(&slice, is_incoming)?,
        _ => return None,
    };
    let mut seen = Seen {
        address: read.remote.octets(),
        protocol: read.protocol.0,
        has_address: true,
        ..Seen::default()
    };
    let header = match read.protocol {
        IpNumber::UDP | UDP_LITE if !read.is_later_fragment => 8,
        _ => 0,
    };
    seen.payload_bytes = length_of(read.content).saturating_sub(header);
    let has_ports = [
        IpNumber::TCP,
        IpNumber::UDP,
        IpNumber::SCTP,
        IpNumber::DCCP,
        UDP_LITE,
    ]
    .contains(&read.protocol);
    if has_ports && !read.is_later_fragment {
        let ports = read.content.first_chunk::<4>()?;
        let source = u16::from_be_bytes([ports[0], ports[1]]);
        let destination = u16::from_be_bytes([ports[2], ports[3]]);
        (seen.local_port, seen.port) = if is_incoming {
            (destination, source)
        } else {
            (source, destination)
        };
    }
    let is_whole = packet.as_ptr_range().end == read.content.as_ptr_range().end;
    Some((seen, is_whole))
}

struct Read<'a> {
    remote: Ipv6Addr,
    protocol: IpNumber,
    content: &'a [u8],
    is_later_fragment: bool,
}

fn of_version_4<'a>(slice: &Ipv4Slice<'a>, is_incoming: bool) -> Option<Read<'a>> {
    let header = slice.header();
    // Etherparse looks behind an authentication header; what is there may be encrypted as well.
    if slice.extensions().auth.is_some() {
        return None;
    }
    let remote = if is_incoming {
        header.source_addr()
    } else {
        header.destination_addr()
    };
    Some(Read {
        remote: remote.to_ipv6_mapped(),
        protocol: header.protocol(),
        content: slice.payload().payload,
        is_later_fragment: header.fragments_offset().value() != 0,
    })
}

fn of_version_6<'a>(slice: &Ipv6Slice<'a>, is_incoming: bool) -> Option<Read<'a>> {
    let mut headers = 0;
    let mut is_later_fragment = false;
    for extension in slice.extensions().clone() {
        headers += 1;
        match extension {
            Ipv6ExtensionSlice::Authentication(_) => return None,
            // Etherparse takes what follows in a later fragment for headers, which it is not.
            _ if is_later_fragment => return None,
            Ipv6ExtensionSlice::Fragment(fragment) => {
                // Its offset is the upper 13 bits (RFC 8200, 4.5); etherparse 0.18 takes others.
                let field = u16::from_be_bytes([fragment.slice()[2], fragment.slice()[3]]);
                is_later_fragment = field >> 3 != 0;
            }
            _ => {}
        }
    }
    if headers > EXTENSION_HEADERS {
        return None;
    }
    let header = slice.header();
    Some(Read {
        remote: if is_incoming {
            header.source_addr()
        } else {
            header.destination_addr()
        },
        protocol: slice.payload().ip_number,
        content: slice.payload().payload,
        is_later_fragment,
    })
}
