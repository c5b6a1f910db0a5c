/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that carry names: DNS messages, what a stream opens with, QUIC's first packets. They are
 * handed to user space as they are; what is hostile is taken apart there.
 */
#pragma once

#define QUIC_VERSION_1 0x00000001
#define QUIC_VERSION_2 0x6b3343cf

/* The header of a TLS record, and with it that of a handshake message. */
#define TLS_RECORD_HEADER 5
#define TLS_HELLO_HEADER 9
#define TLS_HANDSHAKE 22

/* A ClientHello may be cut into several records, each with a header of its own. */
#define TLS_MORE_HEADERS 1024

/* Longest opening that is read, and most of a packet of a stream: a record of TLS and what it is
 * split into. */
#define STREAM_CHUNKS 5
#define STREAM_LENGTH (STREAM_CHUNKS * PAYLOAD_LARGE)

/* Once this much has been acknowledged, a stream is past its opening. */
#define OPENING_ACKED (64 * 1024)

/*
 * Hands out `length` bytes of the payload from `at` on, at least one and at most `size`, which is
 * constant: that is how the ring gives room. The bound is a mask: the verifier of 6.1 does not
 * follow a comparison here.
 */
static __always_inline void emit_sized(const struct payload_record *head, struct __sk_buff *skb,
				       __u32 at, __u64 length, const __u32 size)
{
	struct payload_record *record = bpf_ringbuf_reserve(&events, sizeof(*head) + size, 0);

	if (!record) {
		count_loss(LOSS_NAMES_RING_FULL, 0);
		return;
	}
	*record = *head;
	record->length = length;
	keep_in_one_register(length);
	length = ((length - 1) & (size - 1)) + 1;
	keep_in_one_register(length);
	if (bpf_skb_load_bytes(skb, at, record + 1, length))
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, wake_up_flags());
}

/* Hands out a part of the payload: up to PAYLOAD_LARGE bytes from `at` on. */
static __always_inline void emit_payload(const struct name_packet *packet, struct __sk_buff *skb,
					 __u64 socket, __u32 what, __u32 at, __u32 length)
{
	struct process_key *asker = bpf_map_lookup_elem(&askers, &socket);
	struct payload_record head = { .kind = EVENT_PAYLOAD };

	if (!length)
		return;
	head.at_boot_ns = bpf_ktime_get_boot_ns();
	head.socket = socket;
	if (asker)
		head.process = *asker;
	head.remote = packet->remote;
	head.whole_length = packet->length;
	head.sequence = packet->sequence + at;
	head.local_port = packet->local_port;
	head.what = what;
	head.is_received = packet->is_received;
	at += packet->offset;
	if (length > PAYLOAD_LARGE)
		length = PAYLOAD_LARGE;
	if (length <= PAYLOAD_SMALL)
		emit_sized(&head, skb, at, length, PAYLOAD_SMALL);
	else if (length <= PAYLOAD_MEDIUM)
		emit_sized(&head, skb, at, length, PAYLOAD_MEDIUM);
	else
		emit_sized(&head, skb, at, length, PAYLOAD_LARGE);
}

/* Hands out the first `length` bytes of a packet of a stream, in order. */
static __always_inline void emit_stream(const struct name_packet *packet, struct __sk_buff *skb,
					__u64 socket, __u32 what, __u32 length)
{
	for (__u32 at = 0; at < STREAM_LENGTH; at += PAYLOAD_LARGE) {
		__u32 rest = length - at;

		if (length <= at)
			break;
		emit_payload(packet, skb, socket, what, at,
			     rest < PAYLOAD_LARGE ? rest : PAYLOAD_LARGE);
	}
}

/* What a stream still has to send until its opening is complete, told by how it begins. */
static __always_inline __u32 length_of_opening(const struct name_packet *packet,
					       struct __sk_buff *skb)
{
	__u8 header[TLS_HELLO_HEADER];
	__u32 record, hello;

	if (packet->length < sizeof(header) ||
	    bpf_skb_load_bytes(skb, packet->offset, header, sizeof(header))) {
		/* Too short to tell; user space will. */
		return bpf_skb_load_bytes(skb, packet->offset, header, 1) ||
				       header[0] != TLS_HANDSHAKE
			       ? packet->length
			       : PAYLOAD_LARGE;
	}
	if (header[0] != TLS_HANDSHAKE)
		return packet->length < PAYLOAD_SMALL ? packet->length : PAYLOAD_SMALL;
	record = TLS_RECORD_HEADER + (header[3] << 8 | header[4]);
	hello = TLS_HELLO_HEADER + (header[6] << 16 | header[7] << 8 | header[8]);
	/* Cut into several records, of which each has a header. */
	if (hello > record)
		hello += TLS_MORE_HEADERS;
	return hello < STREAM_LENGTH ? hello : STREAM_LENGTH;
}

/* How many bytes of a packet belong to what its stream opens with. What was sent before is passed
 * over. */
static __always_inline __u32 rest_of_opening(const struct name_packet *packet,
					     struct __sk_buff *skb, struct connection *connection)
{
	__u32 missing = connection->opening_missing;
	__u32 length = packet->length;

	if (!missing) {
		missing = length_of_opening(packet, skb);
		connection->opening_sequence = packet->sequence;
	}
	if (packet->sequence != connection->opening_sequence)
		return 0;
	connection->opening_sequence += length;
	if (length >= missing) {
		length = missing;
		connection->is_past_opening = 1;
	}
	connection->opening_missing = missing - length;
	return length;
}

/* A stream for queries sends a packet. */
static __always_inline void report_queries_sent(struct __sk_buff *skb, struct bpf_sock *sk,
						struct name_packet *packet)
{
	__u64 socket = socket_id(plain_sock(sk));

	if (name_packet_from_skb(packet, skb) && name_packet_read_tcp(packet, skb))
		emit_stream(packet, skb, socket, PAYLOAD_DNS_STREAM, packet->length);
}

/*
 * Any other stream sends a packet. Past its opening nothing is read of it, nor of one that others
 * opened, which is no connection here: a server's own words name nobody. Of one that was open
 * before, the opening has gone by. With data in the SYN it may not have been told yet.
 */
static __always_inline void report_stream_sent(struct __sk_buff *skb, struct bpf_sock *sk,
					       struct name_packet *packet)
{
	struct bpf_tcp_sock *tp = bpf_tcp_sock(sk);
	struct connection *connection;
	__u64 socket;

	if (!tp || tp->bytes_acked > OPENING_ACKED)
		return;
	if (!include_loopback && skb->ifindex == LOOPBACK_IFINDEX)
		return;
	socket = socket_id(plain_sock(sk));
	connection = bpf_map_lookup_elem(&connections, &socket);
	if (!connection || connection->was_open || connection->is_past_opening)
		return;
	if (!name_packet_from_skb(packet, skb) || !name_packet_read_tcp(packet, skb))
		return;
	emit_stream(packet, skb, socket, PAYLOAD_OPENING, rest_of_opening(packet, skb, connection));
}

/* The first packets of QUIC, by their form and version (RFC 9000 section 17.2, RFC 9369). */
static __always_inline bool is_quic_initial(const struct name_packet *packet, struct __sk_buff *skb)
{
	__u8 header[5];
	__be32 version;

	if (packet->length < QUIC_FIRST_DATAGRAM ||
	    bpf_skb_load_bytes(skb, packet->offset, header, sizeof(header)))
		return false;
	__builtin_memcpy(&version, &header[1], 4);
	if (version == bpf_htonl(QUIC_VERSION_1))
		return (header[0] & 0xf0) == 0xc0;
	return version == bpf_htonl(QUIC_VERSION_2) && (header[0] & 0xf0) == 0xd0;
}

/* A server's first packets look like a client's, and are encrypted for whoever asked. */
static __always_inline bool is_answer(const struct name_packet *packet, struct sock *sk)
{
	struct conversation conversation = {};
	struct conversation_state *state;

	fill_conversation(&conversation, &packet->remote, packet->local_port,
			  BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum));
	state = lookup_conversation(&conversation);
	return state && state->opener == OPENER_PEER;
}

/* A datagram is sent. */
static __always_inline void report_datagram_sent(struct __sk_buff *skb, struct bpf_sock *sk,
						 struct name_packet *packet)
{
	__u64 socket;

	if (!may_carry_name(skb, false) || !name_packet_from_skb(packet, skb))
		return;
	name_packet_set_payload(packet, skb, UDP_HEADER);
	if (is_name_port(packet->remote.port)) {
		socket = socket_id(plain_sock(sk));
		note_asker(socket, ACCESS_CGROUP);
		emit_payload(packet, skb, socket, PAYLOAD_DNS, 0, packet->length);
		return;
	}
	if (!include_loopback && skb->ifindex == LOOPBACK_IFINDEX)
		return;
	if (!is_quic_initial(packet, skb) || is_answer(packet, plain_sock(sk)))
		return;
	socket = socket_id(plain_sock(sk));
	note_asker(socket, ACCESS_CGROUP);
	emit_payload(packet, skb, socket, PAYLOAD_QUIC, 0, packet->length);
}

/* A packet of a socket leaves. */
static __always_inline void report_names_sent(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct name_packet packet = {};

	if (sk->protocol == IPPROTO_UDP)
		report_datagram_sent(skb, sk, &packet);
	else if (sk->protocol == IPPROTO_TCP && bpf_ntohs(sk->dst_port) == PORT_DNS)
		report_queries_sent(skb, sk, &packet);
	else if (sk->protocol == IPPROTO_TCP)
		report_stream_sent(skb, sk, &packet);
}

/*
 * Whether what comes in for a socket may be an answer, as far as what it is connected to tells. All
 * that most packets of a stream cost: this is read of any socket, without asking whether it is
 * whole.
 */
static __always_inline bool may_be_answered(const struct bpf_sock *sk)
{
	__u16 connected_to = bpf_ntohs(sk->dst_port);

	return !connected_to || is_name_port(connected_to);
}

/* A packet has come in for a socket: answers are read, and nothing else. */
static __always_inline void report_names_received(struct __sk_buff *skb)
{
	struct name_packet packet = { .is_received = 1 };
	struct bpf_sock *sk = skb->sk;
	bool is_stream;

	if (!sk || !may_be_answered(sk))
		return;
	sk = full_sock(skb);
	if (!sk)
		return;
	is_stream = sk->protocol == IPPROTO_TCP;
	if (!is_stream && (sk->protocol != IPPROTO_UDP || !may_carry_name(skb, true)))
		return;
	if (!name_packet_from_skb(&packet, skb) || !is_name_port(packet.remote.port))
		return;
	if (is_stream) {
		if (name_packet_read_tcp(&packet, skb))
			emit_stream(&packet, skb, socket_id(plain_sock(sk)), PAYLOAD_DNS_STREAM,
				    packet.length);
		return;
	}
	name_packet_set_payload(&packet, skb, UDP_HEADER);
	emit_payload(&packet, skb, socket_id(plain_sock(sk)), PAYLOAD_DNS, 0, packet.length);
}
