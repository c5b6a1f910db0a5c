/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers: packets of the hooks of a cgroup and of the kernel's own -> struct packet, endpoint. */
#pragma once

/* Extension headers that are skipped in search of the transport header. */
#define EXTENSION_HEADERS 4

struct packet {
	/* Where it goes or, of one that comes in, where it is from. */
	struct endpoint remote;
	__u32 payload_bytes;
	__u16 local_port;
	/* Asks a peer for a connection, where the protocol has such packets. */
	bool is_request;
};

#define SCTP_CHUNK_INIT 1
#define DCCP_REQUEST 0

static __always_inline bool is_extension_header(__u8 protocol)
{
	/* Hop-by-hop, routing, fragment, destination options. */
	return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 60;
}

/* What begins at `offset` is payload, to the packet's end. */
static __always_inline void packet_set_payload(struct packet *packet, struct __sk_buff *skb,
					       __u32 offset)
{
	packet->payload_bytes = skb->len > offset ? skb->len - offset : 0;
}

/* Takes ports and payload from the transport header, which begins at `offset`. */
static __always_inline void packet_read_transport(struct packet *packet, struct __sk_buff *skb,
						  __u32 offset, bool is_incoming)
{
	__be16 ports[2] = {};
	__u32 header = 0;
	__u8 type = 0;

	if (protocol_has_ports(packet->remote.protocol) &&
	    bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) == 0) {
		packet->local_port = bpf_ntohs(ports[is_incoming]);
		endpoint_set_port(&packet->remote, ports[!is_incoming]);
	}
	if (packet->remote.protocol == IPPROTO_UDP || packet->remote.protocol == IPPROTO_UDPLITE)
		header = 8;
	if (packet->remote.protocol == IPPROTO_SCTP &&
	    bpf_skb_load_bytes(skb, offset + 12, &type, 1) == 0)
		packet->is_request = type == SCTP_CHUNK_INIT;
	if (packet->remote.protocol == IPPROTO_DCCP &&
	    bpf_skb_load_bytes(skb, offset + 8, &type, 1) == 0)
		packet->is_request = (type >> 1 & 0x0f) == DCCP_REQUEST;
	packet_set_payload(packet, skb, offset + header);
}

/* Only the first fragment has a transport header; others go on with the payload. */
static __always_inline void packet_read_rest(struct packet *packet, struct __sk_buff *skb,
					     __u32 offset, bool is_later_fragment, bool is_incoming)
{
	if (is_later_fragment)
		packet_set_payload(packet, skb, offset);
	else
		packet_read_transport(packet, skb, offset, is_incoming);
}

static __always_inline bool packet_from_ipv4(struct packet *packet, struct __sk_buff *skb,
					     bool is_incoming)
{
	__u8 header[20];
	__be32 address;

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return false;
	packet->remote.protocol = header[9];
	__builtin_memcpy(&address, &header[is_incoming ? 12 : 16], 4);
	endpoint_set_ipv4(&packet->remote, address);
	packet_read_rest(packet, skb, (header[0] & 0x0f) * 4, (header[6] & 0x1f) || header[7],
			 is_incoming);
	return true;
}

static __always_inline bool packet_from_ipv6(struct packet *packet, struct __sk_buff *skb,
					     bool is_incoming)
{
	__u8 header[40];
	__u8 extension[4];
	__u32 offset = sizeof(header);
	bool is_later_fragment = false;
	__u8 protocol;

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return false;
	protocol = header[6];
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		if (is_later_fragment || !is_extension_header(protocol))
			break;
		if (bpf_skb_load_bytes(skb, offset, extension, sizeof(extension)))
			break;
		is_later_fragment = protocol == 44 && (extension[2] || extension[3] & 0xf8);
		offset += protocol == 44 ? 8 : (extension[1] + 1) * 8;
		protocol = extension[0];
	}
	packet->remote.protocol = protocol;
	endpoint_set_ipv6(&packet->remote, &header[is_incoming ? 8 : 24]);
	packet_read_rest(packet, skb, offset, is_later_fragment, is_incoming);
	return true;
}

/* False if it is no IP packet. */
static __always_inline bool packet_from_skb(struct packet *packet, struct __sk_buff *skb,
					    bool is_incoming)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return packet_from_ipv4(packet, skb, is_incoming);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return packet_from_ipv6(packet, skb, is_incoming);
	return false;
}

/* Where a datagram is from that the kernel has taken in for a socket; false if that is no IP. */
static __always_inline bool endpoint_from_received(struct endpoint *peer, struct sk_buff *skb,
						   enum access access)
{
	const unsigned char *head = read_field(access, skb, head);
	const unsigned char *network = head + read_field(access, skb, network_header);
	const unsigned char *transport = head + read_field(access, skb, transport_header);
	__u8 header[24];
	__be32 address;
	__be16 port;

	if (bpf_probe_read_kernel(header, sizeof(header), network) ||
	    bpf_probe_read_kernel(&port, sizeof(port), transport))
		return false;
	if (header[0] >> 4 == 4) {
		__builtin_memcpy(&address, &header[12], 4);
		endpoint_set_ipv4(peer, address);
	} else if (header[0] >> 4 == 6) {
		endpoint_set_ipv6(peer, &header[8]);
	} else {
		return false;
	}
	endpoint_set_port(peer, port);
	return true;
}
