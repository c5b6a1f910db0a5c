/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams, raw packets and frames are counted here and fetched by user space.
 *
 * Two plain hash tables: user space turns new counts to the other one, waits until no program can
 * still hold an entry, and drains the one at rest. Not LRU, which drops counts in silence; no
 * deletion from the table in use, which was measured to lose some of a million.
 */
#pragma once

/* Inserted by count_datagram() into the active one; deleted by user space from the other. */
struct datagram_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct datagram_key);
	__type(value, struct datagram_count);
};

struct datagram_table datagrams_even SEC(".maps");
struct datagram_table datagrams_odd SEC(".maps");

/*
 * No program reads this: when user space writes to a map of maps, the kernel returns only after
 * all running programs have ended, and that is how long a table must rest before it is drained.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct datagram_table);
} rest SEC(".maps") = {
	.values = { &datagrams_even },
};

struct datagram {
	__u64 bytes;
	__u32 error;
	__u16 source_port;
	/* A call that should end in a packet, rather than the packet or a call without such a hook.
	 */
	bool is_begun;
	/* More bytes of a call that was counted before. */
	bool is_more;
};

static __always_inline struct datagram_count *lookup_count(const struct datagram_key *key)
{
	if (active_datagrams)
		return bpf_map_lookup_elem(&datagrams_odd, key);
	return bpf_map_lookup_elem(&datagrams_even, key);
}

/* The entry for `key`, new or old; NULL if the table is full. */
static __always_inline struct datagram_count *insert_count(const struct datagram_key *key)
{
	struct datagram_count fresh = {};
	bool is_odd = active_datagrams;

	fresh.first_boot_ns = bpf_ktime_get_boot_ns();
	/* Another CPU may have inserted it in between: then this fails and the lookup finds it. */
	if (is_odd)
		bpf_map_update_elem(&datagrams_odd, key, &fresh, BPF_NOEXIST);
	else
		bpf_map_update_elem(&datagrams_even, key, &fresh, BPF_NOEXIST);
	__sync_fetch_and_add(&datagram_entries, 1);
	if (is_odd)
		return bpf_map_lookup_elem(&datagrams_odd, key);
	return bpf_map_lookup_elem(&datagrams_even, key);
}

static __always_inline void count_datagram(const struct socket_owner *owner,
					   const struct endpoint *remote,
					   const struct datagram *datagram, enum access access)
{
	struct datagram_key key = {};
	struct datagram_count *count;

	sender_from_current(&key.sender, owner, access);
	key.remote = *remote;
	key.error = datagram->error;
	count = lookup_count(&key);
	if (!count) {
		__u32 opener;

		/* Asked once an interval: what is counted went elsewhere when it began. */
		if (stays_here(remote, owner->network_namespace))
			return;
		opener = opener_of_send(owner, remote);
		if (opener == OPENER_PEER)
			return;
		announce_sender(&key.sender, owner);
		count = insert_count(&key);
		if (count && opener == OPENER_UNKNOWN)
			count->is_unsure = 1;
	}
	if (!count) {
		count_loss(datagram->is_begun ? LOSS_CALLS_FULL : LOSS_DATAGRAMS_FULL,
			   datagram->bytes);
		return;
	}
	if (datagram->is_begun)
		__sync_fetch_and_add(&count->begun, 1);
	else if (!datagram->is_more)
		__sync_fetch_and_add(&count->sent, 1);
	add_bytes(&count->bytes, datagram->bytes);
	count->last_boot_ns = observed_boot_ns;
	if (datagram->source_port && count->source_port != datagram->source_port) {
		if (count->source_port)
			count->has_several_ports = 1;
		count->source_port = datagram->source_port;
	}
}

/* A call sends on `sk`. `result`: what it returned, or, where that is not known yet, no error. */
static __always_inline void report_send(struct sock *sk, const struct endpoint *remote, __u64 bytes,
					int result, enum access access)
{
	struct socket_owner owner = {};
	struct datagram datagram = {};

	if (is_unwanted_loopback(remote))
		return;
	socket_owner_from_sock(&owner, sk, access);
	datagram.bytes = result < 0 ? 0 : bytes;
	datagram.error = result < 0 ? -result : 0;
	datagram.source_port = owner.source_port;
	count_datagram(&owner, remote, &datagram, access);
}

/* A call that report_send() counted was refused: user space takes it from what was sent. */
static __always_inline void report_refused(struct sock *sk, const struct endpoint *remote,
					   __u64 bytes, int result, enum access access)
{
	struct socket_owner owner = {};
	struct datagram datagram = { .is_begun = true };

	if (is_unwanted_loopback(remote))
		return;
	socket_owner_from_sock(&owner, sk, access);
	datagram.bytes = bytes;
	datagram.error = -result;
	count_datagram(&owner, remote, &datagram, access);
}

/* A call on an unconnected socket, whose packet the egress hook will see, unless it is refused. */
static __always_inline void report_send_begun(struct sock *sk, struct endpoint *remote)
{
	struct socket_owner owner = {};
	struct datagram datagram = { .is_begun = true };

	endpoint_compare_to_sock(remote, sk);
	/* Of these the packets alone are counted: they cannot be told from those of plain send().
	 */
	if (remote->flags & ENDPOINT_CONNECTED || is_unwanted_loopback(remote))
		return;
	socket_owner_from_sock(&owner, sk, ACCESS_CGROUP);
	count_datagram(&owner, remote, &datagram, ACCESS_CGROUP);
}

/* A call was counted as begun before its packet turned out to stay here. */
static __always_inline void disown_begun(const struct socket_owner *owner,
					 const struct endpoint *remote)
{
	struct datagram_key key = {};
	struct datagram_count *count;

	sender_from_current(&key.sender, owner, ACCESS_CGROUP);
	key.remote = *remote;
	count = lookup_count(&key);
	if (count)
		count->is_local = 1;
}

/* A frame socket's send call returned. */
static __always_inline void report_frame_sent(struct sock *sk, int result)
{
	struct socket_owner owner = {};
	struct endpoint remote = {};
	struct datagram datagram = {};

	socket_owner_from_sock(&owner, sk, ACCESS_KPROBE);
	datagram.bytes = result > 0 ? result : 0;
	datagram.error = result < 0 ? -result : 0;
	owner.source_port = 0;
	count_datagram(&owner, &remote, &datagram, ACCESS_KPROBE);
}

/* A packet that is not TCP's leaves its socket for the device `ifindex`. */
static __always_inline void report_packet(struct sock *sk, struct packet *packet, __u32 ifindex)
{
	struct socket_owner owner = {};
	struct datagram datagram = {};
	bool is_associating = is_association(sk);

	/* Of an association, what its maker sends itself: whoever else runs here does not hold the
	 * socket's lock. */
	if (is_associating && (!packet->is_request || !BPF_CORE_READ(sk, sk_lock.owned)))
		return;
	socket_owner_from_sock(&owner, sk, ACCESS_CGROUP);
	if (!include_loopback && ifindex == LOOPBACK_IFINDEX) {
		if (!stays_here(&packet->remote, owner.network_namespace)) {
			learn_local(&packet->remote, owner.network_namespace);
			disown_begun(&owner, &packet->remote);
		}
		return;
	}
	if (is_associating && !has_many_peers(sk)) {
		report_association(sk, &owner, &packet->remote);
		return;
	}
	endpoint_compare_to_sock(&packet->remote, sk);
	datagram.bytes = is_associating ? 0 : packet->payload_bytes;
	datagram.source_port = packet->local_port;
	count_datagram(&owner, &packet->remote, &datagram, ACCESS_CGROUP);
}

/* A packet leaves a socket. TCP's are told by other hooks, but for where the first one goes. */
static __always_inline void report_egress(struct __sk_buff *skb, struct bpf_sock *bpf_sock)
{
	struct packet packet = {};

	if (bpf_sock->protocol == IPPROTO_TCP) {
		if (bpf_sock->state == TCP_SYN_SENT && skb->ifindex == LOOPBACK_IFINDEX &&
		    !include_loopback)
			connect_stays_here(socket_id(plain_sock(bpf_sock)));
		return;
	}
	if (packet_from_skb(&packet, skb, false))
		report_packet(plain_sock(bpf_sock), &packet, skb->ifindex);
}
