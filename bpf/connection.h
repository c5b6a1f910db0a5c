/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TCP: one record when a connect begins, one when it is over. */
#pragma once

/*
 * Connections that are being followed, by socket: inserted at connect; deleted when the connect
 * fails, at the change to TCP_CLOSE, and when the socket is released without ever having sent a
 * SYN. Every socket comes to one of these. Full: the connect is reported as one whose end will not
 * be.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct connection);
} connections SEC(".maps");

/*
 * The socket that a thread is connecting: inserted at the entry of tcp_v4_connect and
 * tcp_v6_connect, deleted at their return. What the kernel does not return from for want of a
 * return probe stays until the thread connects again, and is counted then.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, __u64);
} connecting SEC(".maps");

/*
 * Who connects; returns whether it is the running task, which may still have to be announced. A
 * further subflow of a Multipath TCP connection is opened by a worker of the kernel, or by whoever
 * manages its paths, for the one that opened the first.
 */
static __always_inline bool sender_of_connect(struct sender *sender, __u64 socket,
					      struct socket_owner *owner, enum access access)
{
	__u64 first = owner->is_multipath ? (__u64)first_subflow((void *)socket) : 0;
	struct connection *opened;

	if (!first || first == socket) {
		sender_from_current(sender, owner, access);
		return true;
	}
	opened = bpf_map_lookup_elem(&connections, &first);
	if (opened) {
		*sender = opened->sender;
		return false;
	}
	owner->is_kernel = true;
	sender_from_current(sender, owner, access);
	return false;
}

/* Protocols whose packets are mostly sent by timers and in answer to others. */
static __always_inline bool is_association(struct sock *sk)
{
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	return (protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP) &&
	       BPF_CORE_READ(sk, sk_type) != SOCK_RAW;
}

/* A socket of SCTP of that type has as many peers as it likes, and no state of its own. */
static __always_inline bool has_many_peers(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_type) == SOCK_SEQPACKET;
}

static __always_inline void fill_connect_record(struct connect_record *record, __u64 socket,
						const struct connection *connection)
{
	record->kind = EVENT_CONNECT;
	record->is_followed = 1;
	record->socket = socket;
	record->started_boot_ns = connection->started_boot_ns;
	record->sender = connection->sender;
	record->remote = connection->remote;
	record->was_open = connection->was_open;
}

/* What a socket has sent, retransmissions left out; bytes_acked would count the SYN. */
static __always_inline __u64 tcp_bytes_out(struct tcp_sock *tp)
{
	/* In this order: the kernel counts a retransmission there before it counts it here. */
	__u64 sent = BPF_CORE_READ(tp, bytes_sent);

	return sent - BPF_CORE_READ(tp, bytes_retrans);
}

static __always_inline __u64 tcp_bytes_in(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	__u64 received = BPF_CORE_READ(tp, bytes_received);

	/* The peer's FIN counts there as a byte. */
	if (received && BPF_CORE_READ(sk, __sk_common.skc_flags) & (1UL << SOCK_DONE))
		received--;
	return received;
}

/* Announces a connection and follows it to its end. Nothing else happens to its socket meanwhile.
 */
static __always_inline void follow(__u64 socket, struct connection *connection)
{
	struct connect_record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);

	connection->is_announced = 0;
	if (!record) {
		/* Told at its next state, and by its end; unless it has no room there either. */
		if (bpf_map_update_elem(&connections, &socket, connection, BPF_ANY))
			count_loss(LOSS_RING_FULL, 0);
		else
			__sync_fetch_and_add(&unannounced_connects, 1);
		return;
	}
	connection->is_announced = 1;
	fill_connect_record(record, socket, connection);
	if (bpf_map_update_elem(&connections, &socket, connection, BPF_ANY)) {
		record->is_followed = 0;
		count_loss(LOSS_CONNECTIONS_FULL, 0);
	}
	bpf_ringbuf_submit(record, wake_up_flags());
}

/* A connect begins. After a kprobe, connect_returned() will be told how the call ends. */
static __always_inline void report_connect(__u64 socket, struct socket_owner *owner,
					   const struct endpoint *remote, enum access access)
{
	struct connection connection = {};

	if (remote->port == PORT_DNS)
		note_asker(socket, access);
	if (stays_here(remote, owner->network_namespace))
		return;
	connection.started_boot_ns = bpf_ktime_get_boot_ns();
	connection.remote = *remote;
	if (sender_of_connect(&connection.sender, socket, owner, access))
		announce_sender(&connection.sender, owner);
	if (access == ACCESS_KPROBE)
		connection.connecting_thread = (__u32)bpf_get_current_pid_tgid();
	follow(socket, &connection);
}

/* The ring had no room when the connect began: there may be some by now. */
static __always_inline void announce_late(__u64 socket, struct connection *connection)
{
	struct connect_record record = {};

	fill_connect_record(&record, socket, connection);
	if (send_record(&record, sizeof(record)))
		connection->is_announced = 1;
}

/* A socket that is to have one peer asks for an association. */
static __always_inline void report_association(struct sock *sk, struct socket_owner *owner,
					       const struct endpoint *remote)
{
	__u64 socket = socket_id(sk);

	if (!bpf_map_lookup_elem(&connections, &socket))
		report_connect(socket, owner, remote, ACCESS_CGROUP);
}

/* A connection is over, one way or another. */
static __always_inline void report_end(__u64 socket, struct connection *connection,
				       struct connection_end_record *record)
{
	fill_connect_record(&record->connect, socket, connection);
	record->connect.kind = EVENT_CONNECTION_END;
	record->at_boot_ns = bpf_ktime_get_boot_ns();
	record->source_port = connection->source_port;
	if (connection->is_established)
		record->flags |= CONNECTION_ESTABLISHED;
	if (!send_record(record, sizeof(*record)))
		count_loss(connection->is_announced ? LOSS_END_RING_FULL : LOSS_RING_FULL, 0);
	bpf_map_delete_elem(&connections, &socket);
}

/* Remembers what a thread is connecting, until the call returns. */
static __always_inline void connect_entered(__u64 socket)
{
	__u64 thread = bpf_get_current_pid_tgid();

	if (bpf_map_lookup_elem(&connecting, &thread))
		count_loss(LOSS_RETURN_PROBE_MISSED, 0);
	if (bpf_map_update_elem(&connecting, &thread, &socket, BPF_ANY))
		count_loss(LOSS_RETURN_PROBE_MISSED, 0);
}

/* tcp_v4_connect or tcp_v6_connect was called; connect_returned() will be told how it ends. */
static __always_inline void report_connect_call(struct sock *sk, const struct endpoint *remote)
{
	struct socket_owner owner = {};

	socket_owner_from_sock(&owner, sk, ACCESS_KPROBE);
	connect_entered(socket_id(sk));
	report_connect(socket_id(sk), &owner, remote, ACCESS_KPROBE);
}

/* The connect hook of a cgroup: it runs for datagram sockets as well, which send nothing by that.
 */
static __always_inline void report_connect_hook(struct sock *sk, struct endpoint *remote,
						__u32 type)
{
	struct socket_owner owner = {};

	if (type != SOCK_STREAM)
		return;
	/* MPTCP has a number of its own; what it sends is TCP. */
	remote->protocol = IPPROTO_TCP;
	socket_owner_from_sock(&owner, sk, ACCESS_CGROUP);
	report_connect(socket_id(sk), &owner, remote, ACCESS_CGROUP);
}

/* The call that connects returned: an error means that no SYN left. */
static __always_inline void connect_returned(int error)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 *socket = bpf_map_lookup_elem(&connecting, &thread);
	struct connection_end_record record = {};
	struct connection *connection;
	__u64 key;

	if (!socket)
		return;
	key = *socket;
	bpf_map_delete_elem(&connecting, &thread);
	connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return;
	connection->connecting_thread = 0;
	connection->has_state = 1;
	if (error >= 0) {
		struct sock *sk = (struct sock *)key;

		connection->source_port = BPF_CORE_READ(sk, __sk_common.skc_num);
		if (include_loopback ||
		    BPF_CORE_READ(sk, sk_dst_cache, dev, ifindex) != LOOPBACK_IFINDEX)
			return;
		record.flags = CONNECTION_LOCAL;
		learn_local(&connection->remote, connection->sender.network_namespace);
	}
	record.error = error < 0 ? -error : 0;
	report_end(key, connection, &record);
}

/* A call that connects came to nothing. */
static __always_inline void report_failed_call(__u64 socket, struct connection *connection,
					       int error)
{
	struct connection_end_record record = { .error = -error };

	report_end(socket, connection, &record);
}

/* The call that connects has returned, and all is known at once. Until it lets go of the socket, no
 * answer of the peer is taken in. */
static __always_inline void report_connect_done(struct sock *sk, const struct endpoint *remote,
						int error)
{
	struct connection connection = { .has_state = 1 };
	struct socket_owner owner = {};
	__u64 socket = socket_id(sk);

	if (remote->port == PORT_DNS)
		note_asker(socket, ACCESS_KPROBE);
	if (is_unwanted_loopback(remote))
		return;
	socket_owner_from_sock(&owner, sk, ACCESS_TRAMPOLINE);
	if (!include_loopback && !error && sk->sk_dst_cache->dev->ifindex == LOOPBACK_IFINDEX) {
		learn_local(remote, owner.network_namespace);
		return;
	}
	if (error && stays_here(remote, owner.network_namespace))
		return;
	connection.started_boot_ns = bpf_ktime_get_boot_ns();
	connection.remote = *remote;
	connection.source_port = owner.source_port;
	if (sender_of_connect(&connection.sender, socket, &owner, ACCESS_TRAMPOLINE))
		announce_sender(&connection.sender, &owner);
	if (!error) {
		follow(socket, &connection);
		return;
	}
	report_failed_call(socket, &connection, error);
}

/* The first packet of a connect goes to the loopback device: it stays here after all. */
static __always_inline void connect_stays_here(__u64 socket)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);
	struct connection_end_record record = {};

	if (!connection)
		return;
	record.flags = CONNECTION_LOCAL;
	learn_local(&connection->remote, connection->sender.network_namespace);
	report_end(socket, connection, &record);
}

/* A socket is released that never got as far as to change its state. */
static __always_inline void report_release(__u64 socket)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);
	struct connection_end_record record = {};

	if (connection && !connection->has_state)
		report_end(socket, connection, &record);
}

/* States that say nothing new of a connection. What SYN_SENT says is known from the call's return,
 * where that is hooked. */
static __always_inline bool is_passing_state(int state)
{
	if (state == TCP_SYN_SENT)
		return has_connect_result;
	return state != TCP_ESTABLISHED && state != TCP_CLOSE;
}

/* The socket of a connection changed its state. Runs in whatever task is there at that moment. */
static __always_inline void report_state(struct sock *sk, int state)
{
	__u64 socket = socket_id(sk);
	struct connection_end_record record = {};
	struct tcp_sock *tp = (void *)sk;
	struct connection *connection;

	connection = bpf_map_lookup_elem(&connections, &socket);
	if (!connection)
		return;
	connection->has_state = 1;
	if (state != TCP_CLOSE) {
		/* Still unset at the change to SYN_SENT, and unset again at the change to CLOSE. */
		connection->source_port = sk->__sk_common.skc_num;
		if (state == TCP_ESTABLISHED)
			connection->is_established = 1;
		if (!connection->is_announced)
			announce_late(socket, connection);
		return;
	}
	record.error = BPF_CORE_READ(sk, sk_err);
	/*
	 * The call itself takes the socket back: its return probe knows why. No thread is 0 but the
	 * idle one, in which a packet from the network finds a CPU that has nothing to do.
	 */
	if (!record.error && connection->connecting_thread &&
	    connection->connecting_thread == (__u32)bpf_get_current_pid_tgid())
		return;
	if (BPF_CORE_READ(tp, segs_out))
		record.flags = CONNECTION_SENT;
	record.bytes_out = tcp_bytes_out(tp);
	record.bytes_in = tcp_bytes_in(sk);
	report_end(socket, connection, &record);
}
