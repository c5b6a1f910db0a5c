/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who of two that exchange datagrams wrote first: answering is not talking out.
 *
 * A conversation is known by the local port and the peer, not by the socket: servers share a port
 * among sockets, and connect new ones to a peer that wrote to the old.
 */
#pragma once

/*
 * Conversations end after this many seconds of silence, as they do for the kernel's connection
 * tracking (nf_conntrack_udp_timeout_stream): what is an answer here is one to a firewall as well.
 */
#define CONVERSATION_IDLE 120

/*
 * Inserted at the first datagram of either side, never deleted. The least recently used make room:
 * a server on the open network meets new peers without end. What that may cost is counted, see
 * opener_of_send().
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct conversation);
	__type(value, struct conversation_state);
} conversations SEC(".maps");

/* Local ports that peers wrote to first, by when it was last: inserted by the receive hook. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct local_port);
	__type(value, __u32);
} served_ports SEC(".maps");

/*
 * Local ports that were in use when observing began, by whether a program had asked for that very
 * port: inserted by user space's inventory, never deleted; used for as long as a conversation can
 * have begun before. Full: the inventory counts what is missing.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct local_port);
	__type(value, __u8);
} old_ports SEC(".maps");

static __always_inline bool has_conversations(const struct endpoint *remote)
{
	return remote->protocol == IPPROTO_UDP || remote->protocol == IPPROTO_UDPLITE;
}

static __always_inline void fill_conversation(struct conversation *conversation,
					      const struct endpoint *peer, __u16 local_port,
					      __u32 network_namespace)
{
	__builtin_memcpy(conversation->peer, peer->address, 16);
	conversation->local.network_namespace = network_namespace;
	conversation->local.port = local_port;
	conversation->local.protocol = peer->protocol;
	conversation->peer_port = peer->port;
}

/* NULL if there is none, or none that is not over. Counts as a sign of life. */
static __always_inline struct conversation_state *
lookup_conversation(const struct conversation *conversation)
{
	struct conversation_state *state = bpf_map_lookup_elem(&conversations, conversation);
	__u32 now = observed_seconds;

	if (!state || now - state->seen > CONVERSATION_IDLE)
		return NULL;
	if (state->seen != now)
		state->seen = now;
	return state;
}

static __always_inline void begin_conversation(const struct conversation *conversation,
					       __u32 opener)
{
	struct conversation_state state = { .opener = opener, .seen = observed_seconds };

	bpf_map_update_elem(&conversations, conversation, &state, BPF_ANY);
	__sync_fetch_and_add(&conversations_begun, 1);
}

/*
 * Who began what may have begun before there was an observer. A port that the kernel picked is
 * known to nobody who was not written to from it.
 */
static __always_inline __u32 opener_before_start(const struct conversation *conversation)
{
	__u8 *was_asked_for;

	if (observed_seconds > CONVERSATION_IDLE)
		return OPENER_UNSET;
	was_asked_for = bpf_map_lookup_elem(&old_ports, &conversation->local);
	if (!was_asked_for)
		return OPENER_UNSET;
	return *was_asked_for ? OPENER_UNKNOWN : OPENER_SELF;
}

/* Multicast groups and the broadcast address: others answer to what is sent there. */
static __always_inline bool is_group(const struct endpoint *remote)
{
	const __u8 *address = remote->address;
	__u32 last;

	if (!endpoint_is_mapped(remote))
		return address[0] == 0xff;
	__builtin_memcpy(&last, address + 12, 4);
	return (address[12] & 0xf0) == 0xe0 || last == 0xffffffff;
}

/*
 * Turns a conversation into that with whoever answers from the same port. Not where both sides use
 * one port, as in mDNS: there everybody talks to the group, and only addresses tell who asked.
 */
static __always_inline bool widen_to_anybody(struct conversation *conversation,
					     const struct endpoint *remote)
{
	if (conversation->local.port == conversation->peer_port)
		return false;
	if (endpoint_is_mapped(remote))
		__builtin_memset(conversation->peer + 12, 0, 4);
	else
		__builtin_memset(conversation->peer, 0, 16);
	return true;
}

/* Who began the conversation that a datagram to `remote` belongs to; that is us if it is new. */
static __always_inline __u32 opener_of_send(const struct socket_owner *owner,
					    const struct endpoint *remote)
{
	struct conversation conversation = {};
	struct conversation_state *state;
	__u32 opener;

	if (!has_conversations(remote))
		return OPENER_SELF;
	fill_conversation(&conversation, remote, owner->source_port, owner->network_namespace);
	state = lookup_conversation(&conversation);
	if (state)
		return state->opener;
	opener = opener_before_start(&conversation);
	if (opener == OPENER_UNSET)
		opener = OPENER_SELF;
	/* The peer's first word may be among what had to make room. */
	if (opener == OPENER_SELF && is_crowded &&
	    bpf_map_lookup_elem(&served_ports, &conversation.local)) {
		opener = OPENER_UNKNOWN;
		count_loss(LOSS_CONVERSATIONS_FULL, 0);
	}
	begin_conversation(&conversation, opener);
	if (is_group(remote) && widen_to_anybody(&conversation, remote) &&
	    !lookup_conversation(&conversation))
		begin_conversation(&conversation, opener);
	return opener;
}

/* A datagram from `peer` was put into a socket's queue. */
static __always_inline void report_received(const struct endpoint *peer, __u16 local_port,
					    __u32 network_namespace)
{
	struct conversation conversation = {};
	struct conversation_state *state;
	struct local_port local;
	__u32 opener, now = observed_seconds;

	fill_conversation(&conversation, peer, local_port, network_namespace);
	if (lookup_conversation(&conversation))
		return;
	opener = opener_before_start(&conversation);
	if (opener == OPENER_UNSET) {
		struct conversation anybody = conversation;

		state = NULL;
		if (widen_to_anybody(&anybody, peer))
			state = lookup_conversation(&anybody);
		opener = state ? state->opener : OPENER_PEER;
	}
	begin_conversation(&conversation, opener);
	if (opener != OPENER_PEER)
		return;
	local = conversation.local;
	bpf_map_update_elem(&served_ports, &local, &now, BPF_ANY);
}

/* A datagram is about to be put into the queue of `sk`. */
static __always_inline void report_queued(struct sock *sk, struct sk_buff *skb, enum access access)
{
	struct endpoint peer = { .protocol = read_field(access, sk, sk_protocol) };
	struct net *net = read_field(access, sk, __sk_common.skc_net.net);

	if (!include_loopback && read_field(access, skb, skb_iif) == LOOPBACK_IFINDEX)
		return;
	if (endpoint_from_received(&peer, skb, access))
		report_received(&peer, read_field(access, sk, __sk_common.skc_num),
				read_field(access, net, ns.inum));
}

/* A packet has come in for a socket; those of streams are none of ours. */
static __always_inline void report_ingress(struct __sk_buff *skb, struct bpf_sock *bpf_sock)
{
	struct sock *sk;
	struct packet packet = {};

	if (bpf_sock->protocol != IPPROTO_UDP && bpf_sock->protocol != IPPROTO_UDPLITE)
		return;
	if (!include_loopback && skb->ifindex == LOOPBACK_IFINDEX)
		return;
	if (!packet_from_skb(&packet, skb, true))
		return;
	sk = plain_sock(bpf_sock);
	report_received(&packet.remote, bpf_sock->src_port,
			BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum));
}
