/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet that may carry a name, as far as its headers tell.
 */
#pragma once

#define PORT_MDNS 5353
#define PORT_LLMNR 5355

/* A client's first packet of QUIC is never shorter (RFC 9000 section 14.1). */
#define QUIC_FIRST_DATAGRAM 1200

/* A packet of a socket, as far as its headers say what it is. */
struct name_packet {
	struct endpoint remote;
	__u16 local_port;
	__u8 is_received;
	/* Where the transport header begins, and the payload, and how long that is. */
	__u32 transport;
	__u32 offset;
	__u32 length;
	__u32 sequence;
};

static __always_inline bool is_name_port(__u16 port)
{
	return port == PORT_DNS || port == PORT_MDNS || port == PORT_LLMNR;
}

/*
 * Whether a datagram can carry a name, by its length and its port at the peer. Both are read in
 * place: nearly none can, and then this is all that it costs.
 */
static __always_inline bool may_carry_name(struct __sk_buff *skb, bool is_received)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 at = is_received ? 0 : 2;
	__be16 port;

	if (!is_received && skb->len >= IPV4_HEADER + UDP_HEADER + QUIC_FIRST_DATAGRAM)
		return true;
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (data + IPV6_HEADER + 4 > end)
			return true;
		__builtin_memcpy(&port, data + IPV6_HEADER + at, sizeof(port));
	} else {
		/* With options the ports are further back. */
		if (data + IPV4_HEADER + 4 > end || data[0] != 0x45)
			return true;
		__builtin_memcpy(&port, data + IPV4_HEADER + at, sizeof(port));
	}
	return is_name_port(bpf_ntohs(port));
}

static __always_inline void name_packet_set_ports(struct name_packet *packet, const __be16 *ports)
{
	packet->local_port = bpf_ntohs(ports[packet->is_received]);
	endpoint_set_port(&packet->remote, ports[!packet->is_received]);
}

/* A whole packet of IPv4, or its first fragment. */
static __always_inline bool name_packet_from_ipv4(struct name_packet *packet, struct __sk_buff *skb)
{
	/* The header, if it has no options, and the ports. */
	__u8 header[IPV4_HEADER + 4];
	__be16 ports[2];
	__be32 address;

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return false;
	if ((header[6] & 0x1f) || header[7])
		return false;
	packet->transport = (header[0] & 0x0f) * 4;
	__builtin_memcpy(ports, &header[IPV4_HEADER], sizeof(ports));
	if (packet->transport != IPV4_HEADER &&
	    bpf_skb_load_bytes(skb, packet->transport, ports, sizeof(ports)))
		return false;
	packet->remote.protocol = header[9];
	__builtin_memcpy(&address, &header[packet->is_received ? 12 : 16], 4);
	endpoint_set_ipv4(&packet->remote, address);
	name_packet_set_ports(packet, ports);
	return true;
}

/* A packet of IPv6 without extension headers. */
static __always_inline bool name_packet_from_ipv6(struct name_packet *packet, struct __sk_buff *skb)
{
	__u8 header[IPV6_HEADER + 4];
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return false;
	packet->transport = IPV6_HEADER;
	packet->remote.protocol = header[6];
	endpoint_set_ipv6(&packet->remote, &header[packet->is_received ? 8 : 24]);
	__builtin_memcpy(ports, &header[IPV6_HEADER], sizeof(ports));
	name_packet_set_ports(packet, ports);
	return true;
}

static __always_inline bool name_packet_from_skb(struct name_packet *packet, struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return name_packet_from_ipv4(packet, skb);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return name_packet_from_ipv6(packet, skb);
	return false;
}

static __always_inline void name_packet_set_payload(struct name_packet *packet,
						    struct __sk_buff *skb, __u32 header)
{
	packet->offset = packet->transport + header;
	packet->length = skb->len > packet->offset ? skb->len - packet->offset : 0;
}

/* Reads the header of TCP; false if there is none, or nothing behind it. */
static __always_inline bool name_packet_read_tcp(struct name_packet *packet, struct __sk_buff *skb)
{
	/* Sequence number, acknowledgement, length of the header in words, flags. */
	__u8 header[10];
	__be32 sequence;

	if (bpf_skb_load_bytes(skb, packet->transport + 4, header, sizeof(header)))
		return false;
	__builtin_memcpy(&sequence, header, 4);
	/* A SYN takes a number of its own, and may carry data (TCP Fast Open). */
	packet->sequence = bpf_ntohl(sequence) + !!(header[9] & TCP_FLAG_SYN);
	name_packet_set_payload(packet, skb, (header[8] >> 4) * 4);
	return packet->length > 0;
}
