//! Feeds the packets of a capture file to the parsers of names, as the host that sent them would have.
#![expect(
    clippy::unwrap_used,
    reason = "a capture that cannot be read fails the test"
)]

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    net::{IpAddr, SocketAddr},
};

use egress_baseline::{
    model::Timestamp,
    names::{Asker, Channel, Direction, FlowId, Learned, Names, Opening},
};
use etherparse::{
    EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, SlicedPacket, TcpSlice, UdpSlice,
    defrag::IpDefragPool,
};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

/// Ports whose messages are in the format of DNS.
const DNS_PORTS: [u16; 3] = [53, 5353, 5355];

/// What one packet carried, after fragments were put together.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Its number in the file, from 1 on.
    pub(crate) frame: u64,
    pub(crate) at: Timestamp,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Datagram(Vec<u8>),
    Segment {
        sequence: u32,
        is_opening: bool,
        payload: Vec<u8>,
    },
}

/// What the parsers made of a file.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whole DNS messages, with the number of the packet that they ended in.
    pub(crate) messages: Vec<(u64, Vec<u8>)>,
    /// With the client that was told.
    pub(crate) learned: Vec<(IpAddr, Learned)>,
    pub(crate) openings: Vec<SeenOpening>,
}

#[derive(Debug)]
pub(crate) struct SeenOpening {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) opening: Opening,
}

/// The TCP segments and UDP datagrams of a file.
pub(crate) fn packets_of(file: &[u8]) -> Vec<Packet> {
    let mut fragments = IpDefragPool::<(), ()>::new();
    let mut packets = Vec::new();
    for (frame, (link, at, bytes)) in (1..).zip(frames_of(file)) {
        let Some(ip) = ip_of(link, &bytes) else {
            continue;
        };
        packets.extend(packet_of(frame, at, &ip, &mut fragments));
    }
    packets
}

fn frames_of(file: &[u8]) -> Vec<(Linktype, Timestamp, Vec<u8>)> {
    let mut reader = create_reader(1 << 20, file).unwrap();
    let mut frames = Vec::new();
    let mut link = Linktype::ETHERNET;
    let mut interfaces = Vec::new();
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => link = header.network,
                    PcapBlockOwned::Legacy(packet) => {
                        let at = i64::from(packet.ts_sec) * 1_000_000_000
                            + i64::from(packet.ts_usec) * 1_000;
                        frames.push((link, Timestamp::from_unix_ns(at), packet.data.to_vec()));
                    }
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        interfaces.push(interface.linktype);
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let link = interfaces[packet.if_id as usize];
                        let ticks = i64::from(packet.ts_high) << 32 | i64::from(packet.ts_low);
                        let at = Timestamp::from_unix_ns(ticks.saturating_mul(1_000));
                        let data = &packet.data[..packet.caplen as usize];
                        frames.push((link, at, data.to_vec()));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(length);
            }
            Err(PcapError::Eof) => return frames,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("not a capture: {error}"),
        }
    }
}

/// The IP packet in a frame.
fn ip_of(link: Linktype, frame: &[u8]) -> Option<Vec<u8>> {
    /// Address families of the null link layer come in the byte order of whoever captured.
    const NULL_HEADER: usize = 4;
    const COOKED_HEADER: usize = 16;
    const COOKED_2_HEADER: usize = 20;
    let ip = match link {
        Linktype::ETHERNET => {
            let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
            let payload = packet.ether_payload()?;
            matches!(payload.ether_type, EtherType::IPV4 | EtherType::IPV6)
                .then(|| payload.payload.to_vec())?
        }
        Linktype::NULL => frame.get(NULL_HEADER..)?.to_vec(),
        Linktype::LINUX_SLL => frame.get(COOKED_HEADER..)?.to_vec(),
        Linktype::LINUX_SLL2 => frame.get(COOKED_2_HEADER..)?.to_vec(),
        // PPP: address and control where they are sent, then the protocol.
        Linktype(9) => frame
            .strip_prefix(&[0xff, 3])
            .unwrap_or(frame)
            .get(2..)?
            .to_vec(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => frame.to_vec(),
        other => panic!("frames of link type {other} are not read"),
    };
    Some(ip)
}

fn packet_of(
    frame: u64,
    at: Timestamp,
    bytes: &[u8],
    fragments: &mut IpDefragPool<(), ()>,
) -> Option<Packet> {
    let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Arp(_) => return None,
    };
    let ip = packet.ip_payload()?;
    let (protocol, payload) = if ip.fragmented {
        let sliced = SlicedPacket::from_ip(bytes).ok()?;
        let whole = fragments.process_sliced_packet(&sliced, (), ()).ok()??;
        (whole.ip_number, whole.payload)
    } else {
        (ip.ip_number, ip.payload.to_vec())
    };
    let (ports, body) = match protocol {
        IpNumber::UDP => {
            let udp = UdpSlice::from_slice_lax(&payload).ok()?;
            let ports = (udp.source_port(), udp.destination_port());
            (ports, Body::Datagram(udp.payload().to_vec()))
        }
        IpNumber::TCP => {
            let tcp = TcpSlice::from_slice(&payload).ok()?;
            let body = Body::Segment {
                sequence: tcp.sequence_number(),
                is_opening: tcp.syn(),
                payload: tcp.payload().to_vec(),
            };
            ((tcp.source_port(), tcp.destination_port()), body)
        }
        _ => return None,
    };
    Some(Packet {
        frame,
        at,
        source: SocketAddr::new(source, ports.0),
        destination: SocketAddr::new(destination, ports.1),
        body,
    })
}

/// Numbers for what is the same.
#[derive(Debug)]
struct Numbers<T>(HashMap<T, u64>);

impl<T: Eq + Hash> Numbers<T> {
    fn of(&mut self, thing: T) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(thing).or_insert(next)
    }
}

/// One direction of a connection: what comes next, and what came too early.
#[derive(Debug, Default)]
struct Stream {
    connection: u64,
    next: Option<u32>,
    early: BTreeMap<u32, Vec<u8>>,
}

impl Stream {
    /// The bytes that continue the stream with this segment.
    fn push(&mut self, sequence: u32, is_opening: bool, payload: &[u8]) -> Vec<u8> {
        if is_opening {
            *self = Self {
                connection: self.connection + 1,
                next: Some(sequence.wrapping_add(1)),
                early: BTreeMap::new(),
            };
        }
        if payload.is_empty() {
            return Vec::new();
        }
        let mut next = *self.next.get_or_insert(sequence);
        self.early.insert(sequence, payload.to_vec());
        let mut bytes = Vec::new();
        // Sequence numbers that have passed are far away.
        while let Some((&sequence, _)) = self
            .early
            .iter()
            .find(|(sequence, _)| next.wrapping_sub(**sequence) < 1 << 31)
        {
            let segment = self.early.remove(&sequence).unwrap();
            let known = next.wrapping_sub(sequence) as usize;
            if let Some(new) = segment.get(known..) {
                bytes.extend_from_slice(new);
                next = next.wrapping_add(u32::try_from(new.len()).unwrap());
            }
        }
        self.next = Some(next);
        bytes
    }
}

/// Gives packets to the parsers in their order. Messages belong to the client: who sends a query, and
/// who is sent an answer.
pub(crate) fn pass(packets: &[Packet], names: &mut Names) -> Seen {
    let mut feed = Feed {
        names,
        seen: Seen::default(),
        sockets: Numbers(HashMap::new()),
        askers: Numbers(HashMap::new()),
        flows: Numbers(HashMap::new()),
        streams: HashMap::new(),
        half: HashMap::new(),
    };
    for packet in packets {
        feed.take(packet);
    }
    feed.seen
}

#[derive(Debug)]
struct Feed<'a> {
    names: &'a mut Names,
    seen: Seen,
    sockets: Numbers<SocketAddr>,
    askers: Numbers<IpAddr>,
    flows: Numbers<(SocketAddr, SocketAddr, u64)>,
    streams: HashMap<(SocketAddr, SocketAddr), Stream>,
    /// DNS over TCP, for [`Seen::messages`].
    half: HashMap<(SocketAddr, SocketAddr), Vec<u8>>,
}

impl Feed<'_> {
    fn take(&mut self, packet: &Packet) {
        let is_dns = [packet.source, packet.destination]
            .iter()
            .any(|end| DNS_PORTS.contains(&end.port()));
        let ends = (packet.source, packet.destination);
        match &packet.body {
            Body::Datagram(bytes) if is_dns => {
                self.seen.messages.push((packet.frame, bytes.clone()));
                let is_answer = bytes.get(2).is_some_and(|flags| flags & 0x80 != 0);
                self.dns(packet, is_answer, |names, channel, direction| {
                    names.dns_message(channel, direction, bytes, packet.at)
                });
            }
            Body::Datagram(bytes) => {
                let flow = FlowId(self.flows.of((ends.0, ends.1, 0)));
                let opening = self.names.quic_datagram(flow, bytes, packet.at);
                self.opened(packet, opening);
            }
            Body::Segment {
                sequence,
                is_opening,
                payload,
            } => {
                let stream = self.streams.entry(ends).or_default();
                let bytes = stream.push(*sequence, *is_opening, payload);
                let connection = stream.connection;
                if bytes.is_empty() {
                    return;
                }
                if is_dns {
                    self.dns_stream(packet, &bytes);
                    return;
                }
                let flow = FlowId(self.flows.of((ends.0, ends.1, 1 + connection)));
                let opening = self.names.stream_start(flow, &bytes, packet.at);
                self.opened(packet, opening);
            }
        }
    }

    fn dns_stream(&mut self, packet: &Packet, bytes: &[u8]) {
        let half = self
            .half
            .entry((packet.source, packet.destination))
            .or_default();
        half.extend_from_slice(bytes);
        while let Some((length, rest)) = half.split_first_chunk::<2>()
            && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            self.seen.messages.push((packet.frame, message.to_vec()));
            *half = rest[message.len()..].to_vec();
        }
        let is_answer = DNS_PORTS.contains(&packet.source.port());
        self.dns(packet, is_answer, |names, channel, direction| {
            names.dns_stream(channel, direction, bytes, packet.at)
        });
    }

    fn dns(
        &mut self,
        packet: &Packet,
        is_answer: bool,
        read: impl FnOnce(&mut Names, &Channel, Direction) -> Vec<Learned>,
    ) {
        let (client, server, direction) = if is_answer {
            (packet.destination, packet.source, Direction::Received)
        } else {
            (packet.source, packet.destination, Direction::Sent)
        };
        let channel = Channel {
            asker: Asker(self.askers.of(client.ip())),
            socket: self.sockets.of(client),
            port: client.port(),
            server,
        };
        let learned = read(self.names, &channel, direction);
        let learned = learned.into_iter().map(|learned| (client.ip(), learned));
        self.seen.learned.extend(learned);
    }

    fn opened(&mut self, packet: &Packet, opening: Option<Opening>) {
        self.seen
            .openings
            .extend(opening.map(|opening| SeenOpening {
                source: packet.source,
                destination: packet.destination,
                opening,
            }));
    }
}
