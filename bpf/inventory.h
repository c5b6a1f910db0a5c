/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections that were open before they could be observed: the sockets that tasks hold as files.
 * Runs once, after all hooks are attached, so that nothing falls between the two.
 */
#pragma once

#define PF_EXITING 0x00000004

/* bind() was called with a port. A socket never has it from the one that it was accepted on. */
#define SOCK_BINDPORT_LOCK 8

/* Which side sent the first SYN. */
enum beginning {
	BEGAN_HERE,
	BEGAN_THERE,
	BEGAN_UNCLEAR,
};

/* What a socket has sent and what of it was acknowledged. */
struct send_state {
	__u64 acked;
	__u64 payload;
	__u32 in_flight;
};

static __always_inline void read_send_state(struct send_state *state, struct tcp_sock *tp)
{
	state->acked = BPF_CORE_READ(tp, bytes_acked);
	state->payload = tcp_bytes_out(tp);
	state->in_flight = BPF_CORE_READ(tp, snd_nxt) - BPF_CORE_READ(tp, snd_una);
}

/*
 * A socket that connected has one byte more acknowledged and in flight than it sent as payload: its
 * SYN. One that was accepted begins to count behind its SYN. A socket that is just being used shows
 * nothing, nor does one that has sent its FIN.
 */
static __always_inline enum beginning beginning_from_bytes(struct sock *sk, int state)
{
	struct tcp_sock *tp = (void *)sk;
	struct send_state first, second;
	__u32 beyond_payload;

	if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		return BEGAN_UNCLEAR;
	read_send_state(&first, tp);
	read_send_state(&second, tp);
	if (first.acked != second.acked || first.payload != second.payload ||
	    first.in_flight != second.in_flight)
		return BEGAN_UNCLEAR;
	beyond_payload = (__u32)first.acked + first.in_flight - (__u32)first.payload;
	if (beyond_payload > 1)
		return BEGAN_UNCLEAR;
	return beyond_payload ? BEGAN_HERE : BEGAN_THERE;
}

/*
 * The kernel does not keep which side began. It shows, surest first: in the backlog that an
 * accepted socket has from the one that listened, if that was not 0; in a bind() with a port; in
 * the port, which connect() takes for itself in a way (-1) that bind() does not; in what was sent.
 */
static __always_inline enum beginning beginning_of(struct sock *sk, int state)
{
	struct inet_connection_sock *icsk = (void *)sk;
	struct inet_bind_bucket *bucket;

	if (state == TCP_SYN_SENT)
		return BEGAN_HERE;
	if (BPF_CORE_READ(sk, sk_max_ack_backlog))
		return BEGAN_THERE;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDPORT_LOCK)
		return BEGAN_HERE;
	bucket = BPF_CORE_READ(icsk, icsk_bind_hash);
	if (bucket && BPF_CORE_READ(bucket, fastreuse) < 0)
		return BEGAN_HERE;
	return beginning_from_bytes(sk, state);
}

/* The TCP socket that a file is, of a Multipath TCP socket the one that it began with. */
static __always_inline struct sock *tcp_from_file(struct file *file)
{
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != SOCKFS_MAGIC)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	/* Opened as a path only. */
	if (!socket)
		return NULL;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return NULL;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP)
		return mptcp_first_subflow(sk);
	return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP ? sk : NULL;
}

static __always_inline bool is_open_state(int state)
{
	return state >= TCP_ESTABLISHED && state < TCP_LISTEN && state != TCP_CLOSE;
}

/* Fills in what an open socket says of its connection; false if that is none of egress. */
static __always_inline bool open_from_sock(struct open_record *record, struct socket_owner *owner,
					   struct sock *sk)
{
	int state = BPF_CORE_READ(sk, __sk_common.skc_state);
	struct endpoint *remote = &record->connect.remote;
	enum beginning beginning;

	if (!is_open_state(state))
		return false;
	beginning = beginning_of(sk, state);
	if (beginning == BEGAN_THERE)
		return false;
	remote->protocol = IPPROTO_TCP;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
		endpoint_from_sock4(remote, sk, ACCESS_CGROUP);
	else
		endpoint_from_sock6(remote, sk, ACCESS_CGROUP);
	remote->flags = ENDPOINT_HAS_ADDRESS;
	socket_owner_from_sock(owner, sk, ACCESS_CGROUP);
	if (stays_here(remote, owner->network_namespace))
		return false;
	record->is_unclear = beginning == BEGAN_UNCLEAR;
	record->is_established = state != TCP_SYN_SENT && state != TCP_SYN_RECV;
	record->source_port = owner->source_port;
	record->bytes_out = tcp_bytes_out((void *)sk);
	record->bytes_in = tcp_bytes_in(sk);
	return true;
}

/* Begins to follow an open connection; false if that has begun already, or if it is over. */
static __always_inline bool follow_open(struct open_record *record, struct sock *sk)
{
	struct connect_record *connect = &record->connect;
	struct tcp_sock *tp = (void *)sk;
	struct connection connection = {
		.started_boot_ns = connect->started_boot_ns,
		.sender = connect->sender,
		.remote = connect->remote,
		.source_port = record->source_port,
		.is_established = record->is_established,
		.is_announced = 1,
		.has_state = 1,
		.was_open = 1,
	};
	__u64 socket = connect->socket;
	long error;

	connection.told_bytes = BPF_CORE_READ(tp, bytes_sent) + BPF_CORE_READ(tp, bytes_received);
	error = bpf_map_update_elem(&connections, &socket, &connection, BPF_NOEXIST);
	if (error == -EEXIST)
		return false;
	connect->is_followed = !error;
	if (error || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_CLOSE)
		return true;
	/* It ended before it was followed, so that nobody will tell. */
	bpf_map_delete_elem(&connections, &socket);
	return false;
}

/*
 * A task holds a file. Several may hold the same: the first that is met, which is the one with the
 * lowest number, stands for all.
 */
static __always_inline void report_held_file(struct seq_file *seq, struct task_struct *task,
					     struct file *file)
{
	struct open_record record = {};
	struct socket_owner owner = {};
	struct sock *sk = tcp_from_file(file);
	__u64 socket = socket_id(sk);

	/* Of a task that is ending, memory and with it the program is gone already. */
	if (!sk || BPF_CORE_READ(task, flags) & PF_EXITING ||
	    bpf_map_lookup_elem(&connections, &socket) || !open_from_sock(&record, &owner, sk))
		return;
	record.connect.socket = socket;
	record.connect.started_boot_ns = bpf_ktime_get_boot_ns();
	record.connect.was_open = 1;
	sender_from_task(&record.connect.sender, &owner, task);
	announce_sender_of_task(&record.connect.sender, &owner, task);
	if (!record.is_unclear && !follow_open(&record, sk))
		return;
	/* No room: the kernel hands out what there is and comes to this file once more. */
	if (bpf_seq_write(seq, &record, sizeof(record)) && record.connect.is_followed)
		bpf_map_delete_elem(&connections, &socket);
}
