/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bodies: frames and raw packets, whose headers the sender makes in part or as a whole. */
#pragma once

/* Where a sender that brings the whole packet has written the destination, that one holds. */
static __always_inline bool packet_from_raw(struct packet *packet, struct sock *sk,
					    struct msghdr *message, __u64 length)
{
	struct packet own = {};
	bool is_read;

	if (!brings_own_header(sk))
		return true;
	is_read = packet_from_own_header(&own, message, length);
	if (own.remote.flags & ENDPOINT_HAS_ADDRESS)
		*packet = own;
	return is_read;
}

/*
 * Leaves the packet as it is, and the verifier without what it knew of it: else it goes through all
 * that follows once for each way in which headers can lie.
 */
static __always_inline void packet_settle(struct packet *packet)
{
	bpf_probe_read_kernel(packet, sizeof(*packet), packet);
}

static __always_inline void report_handmade(struct sock *sk, const struct packet *packet,
					    bool is_read, __u64 bytes)
{
	struct socket_owner owner = {};
	struct datagram datagram = {};

	socket_owner_from_sock(&owner, sk, ACCESS_KPROBE);
	if (stays_here(&packet->remote, owner.network_namespace))
		return;
	if (!is_read)
		count_loss(LOSS_PAYLOAD_UNREADABLE, bytes);
	datagram.bytes = bytes;
	/* What a raw socket has in the place of a port is its protocol. */
	datagram.source_port = packet->local_port;
	count_datagram(&owner, &packet->remote, &datagram, ACCESS_KPROBE);
}

/* A call that sends on a frame socket. */
static __always_inline void report_frame(struct sock *sk, struct msghdr *message, __u64 length)
{
	struct packet packet = {};
	bool is_read = packet_from_frame(&packet, sk, message, length);

	packet_settle(&packet);
	report_handmade(sk, &packet, is_read, length);
}

/* A call that sends on a raw socket, to the address that it was given. */
static __always_inline void report_raw(struct sock *sk, const struct endpoint *remote,
				       struct msghdr *message, __u64 length)
{
	struct packet packet = { .remote = *remote };
	bool is_read = packet_from_raw(&packet, sk, message, length);

	packet_settle(&packet);
	report_handmade(sk, &packet, is_read, length);
}

/* A call that report_frame() counted was refused. */
static __always_inline void report_frame_refused(struct sock *sk, struct msghdr *message,
						 __u64 length, int result)
{
	struct packet packet = {};

	packet_from_frame(&packet, sk, message, length);
	packet_settle(&packet);
	report_refused(sk, &packet.remote, length, result, ACCESS_KPROBE);
}

/* A call that report_raw() counted was refused. */
static __always_inline void report_raw_refused(struct sock *sk, const struct endpoint *remote,
					       struct msghdr *message, __u64 length, int result)
{
	struct packet packet = { .remote = *remote };

	packet_from_raw(&packet, sk, message, length);
	packet_settle(&packet);
	report_refused(sk, &packet.remote, length, result, ACCESS_KPROBE);
}

#define NETIF_F_SG 1

/*
 * Until 6.4 sendfile and splice hand pages to UDP by a way of their own. It begins with a call of
 * udp_sendmsg with no bytes, which is counted as the attempt.
 */
static __always_inline void report_page(struct sock *sk, const struct flowi4 *flow, __u64 bytes)
{
	struct inet_sock *inet = (void *)sk;
	struct socket_owner owner = {};
	struct datagram datagram = { .is_more = true };
	struct endpoint remote = {};

	/* For such a device the kernel copies the page and calls udp_sendmsg with it. */
	if (!(BPF_CORE_READ(inet, cork.base.dst, dev, features) & NETIF_F_SG))
		return;
	remote.protocol = BPF_CORE_READ(sk, sk_protocol);
	endpoint_set_ipv4(&remote, BPF_CORE_READ(flow, daddr));
	endpoint_set_port(&remote, BPF_CORE_READ(flow, uli.ports.dport));
	endpoint_compare_to_sock(&remote, sk);
	socket_owner_from_sock(&owner, sk, ACCESS_KPROBE);
	datagram.bytes = bytes;
	datagram.source_port = owner.source_port;
	count_datagram(&owner, &remote, &datagram, ACCESS_KPROBE);
}
