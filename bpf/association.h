/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SCTP, DCCP and L2TP over IP, which most kernels have as modules. A socket with one peer is
 * followed like one of TCP; what a socket with many peers sends is counted like datagrams.
 *
 * The numbers of TCP's states stand for the same things here: DCCP has those of TCP and one more
 * for a connection that the peer has agreed to; of SCTP a socket with one peer goes from CLOSE to
 * ESTABLISHED, and to CLOSE_WAIT at its end, whoever ends it.
 */
#pragma once

/* A message that a thread is handing over. */
struct sending {
	__u64 socket;
	__u64 bytes;
	struct endpoint remote;
	__u32 is_counted;
};

/*
 * Inserted at the entry of a call that sends, deleted at its return; only protocols whose functions
 * cannot be followed otherwise are in here. Full: a refusal is not noticed.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct sending);
} sending SEC(".maps");

static __always_inline bool is_agreed(__u16 protocol, int state)
{
	if (state == TCP_ESTABLISHED)
		return true;
	/* DCCP's own states follow those of TCP, whose number grows. */
	return protocol == IPPROTO_DCCP && state > TCP_LISTEN;
}

static __always_inline bool is_final(__u16 protocol, int state)
{
	return state == TCP_CLOSE || (protocol == IPPROTO_SCTP && state == TCP_CLOSE_WAIT);
}

/* Where the hook of the connect is not on (yet), its first state is the first that is heard of it.
 */
static __always_inline void report_connect_by_state(struct sock *sk)
{
	struct endpoint remote = { .protocol = IPPROTO_DCCP };
	struct socket_owner owner = {};

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6)
		endpoint_from_sock6(&remote, sk, ACCESS_KPROBE);
	else
		endpoint_from_sock4(&remote, sk, ACCESS_KPROBE);
	socket_owner_from_sock(&owner, sk, ACCESS_KPROBE);
	report_association(sk, &owner, &remote);
}

/* A socket of SCTP or DCCP changed its state. Only the change to SYN_SENT is certain to run in the
 * task that connects. */
static __always_inline void report_association_state(struct sock *sk, __u16 protocol, int state)
{
	__u64 socket = socket_id(sk);
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);
	struct connection_end_record record = {};
	__u16 port;

	if (protocol == IPPROTO_DCCP && state == TCP_SYN_SENT) {
		report_connect_by_state(sk);
		connection = bpf_map_lookup_elem(&connections, &socket);
	}
	if (!connection)
		return;
	connection->has_state = 1;
	port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (port)
		connection->source_port = port;
	if (is_agreed(protocol, state))
		connection->is_established = 1;
	if (!is_final(protocol, state))
		return;
	record.error = BPF_CORE_READ(sk, sk_err);
	/* As with TCP: the return of the call knows why. */
	if (!record.error && connection->connecting_thread &&
	    connection->connecting_thread == (__u32)bpf_get_current_pid_tgid())
		return;
	record.flags = CONNECTION_SENT;
	record.bytes_out = connection->bytes_out;
	report_end(socket, connection, &record);
}

/* __sctp_connect was called; association_connect_returned() will be told how it ends. */
static __always_inline void report_association_connect(struct sock *sk, const void *address)
{
	struct endpoint remote = { .protocol = IPPROTO_SCTP };

	if (endpoint_from_sockaddr(&remote, address))
		report_connect_call(sk, &remote);
}

/* Its state will never be told: all that will be known is what the call returned. */
static __always_inline void end_among_many(__u64 socket, int error)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);
	struct connection_end_record record = { .error = error < 0 ? -error : 0 };

	if (!connection)
		return;
	connection->is_established = error >= 0;
	if (error == -EINPROGRESS)
		/* User space asks for it and is told that nothing is known. */
		bpf_map_delete_elem(&connections, &socket);
	else
		report_end(socket, connection, &record);
}

static __always_inline void association_connect_returned(int error)
{
	__u64 thread = bpf_get_current_pid_tgid();
	__u64 *socket = bpf_map_lookup_elem(&connecting, &thread);

	if (!socket)
		return;
	if (has_many_peers((struct sock *)*socket)) {
		end_among_many(*socket, error);
		bpf_map_delete_elem(&connecting, &thread);
		return;
	}
	connect_returned(error == -EINPROGRESS ? 0 : error);
}

/* A message for a peer that is counted like a datagram; send_returned() will be told how it ends.
 */
static __always_inline void report_associated_send(struct sock *sk, const struct endpoint *remote,
						   __u64 bytes)
{
	struct sending message = { .socket = socket_id(sk), .bytes = bytes, .remote = *remote };
	__u64 thread = bpf_get_current_pid_tgid();

	message.is_counted = true;
	bpf_map_update_elem(&sending, &thread, &message, BPF_ANY);
	report_send(sk, remote, bytes, 0, ACCESS_KPROBE);
}

/* A message on a socket with one peer: it connects first if it has none yet. */
static __always_inline void follow_send(struct sock *sk, const struct endpoint *remote,
					bool has_address)
{
	struct sending message = { .socket = socket_id(sk) };
	__u64 thread = bpf_get_current_pid_tgid();

	if (!bpf_map_lookup_elem(&connections, &message.socket)) {
		/* Of a connection that the peer began. */
		if (!has_address || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_CLOSE)
			return;
		report_connect_call(sk, remote);
	}
	bpf_map_update_elem(&sending, &thread, &message, BPF_ANY);
}

static __always_inline void report_sctp_send(struct sock *sk, struct msghdr *message, __u64 bytes)
{
	struct endpoint remote = { .protocol = IPPROTO_SCTP };
	bool has_address = endpoint_from_sockaddr(&remote, BPF_CORE_READ(message, msg_name));

	if (!has_many_peers(sk))
		follow_send(sk, &remote, has_address);
	else if (has_address)
		report_associated_send(sk, &remote, bytes);
}

/* A call that sends returned. */
static __always_inline void send_returned(int result)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct sending *found = bpf_map_lookup_elem(&sending, &thread);
	struct connection *connection;
	struct sending message;

	if (!found)
		return;
	message = *found;
	bpf_map_delete_elem(&sending, &thread);
	if (message.is_counted) {
		if (result < 0)
			report_refused((struct sock *)message.socket, &message.remote,
				       message.bytes, result, ACCESS_KPROBE);
		return;
	}
	connection = bpf_map_lookup_elem(&connections, &message.socket);
	if (connection && result > 0)
		add_bytes(&connection->bytes_out, result);
	association_connect_returned(result == -EAGAIN ? -EINPROGRESS : result);
}
