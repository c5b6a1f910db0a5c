/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What open connections have carried: asked for at each flush, so that a byte costs nothing when
 * it is sent.
 */
#pragma once

/*
 * Whether an address still is the socket of a connection. Its memory may have been given to
 * another, if the hook that tells of its end was skipped.
 */
static __always_inline bool is_socket_of(struct sock *sk, const struct connection *connection)
{
	return BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_CLOSE &&
	       BPF_CORE_READ(sk, __sk_common.skc_num) == connection->source_port &&
	       bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport)) == connection->remote.port;
}

/* Tells what a connection has carried, if that is more than was told. */
static __always_inline void report_carried(struct seq_file *seq, __u64 socket,
					   __u64 started_boot_ns)
{
	struct sock *sk = (struct sock *)socket;
	struct tcp_sock *tp = (void *)sk;
	struct carried_record record = {
		.socket = socket,
		.started_boot_ns = started_boot_ns,
	};
	struct connection *connection;
	__u64 bytes = BPF_CORE_READ(tp, bytes_sent) + BPF_CORE_READ(tp, bytes_received);

	record.bytes_out = tcp_bytes_out(tp);
	record.bytes_in = tcp_bytes_in(sk);
	record.at_boot_ns = bpf_ktime_get_boot_ns();
	/*
	 * Asked for again after reading: the entry goes before the socket does, so what was read
	 * while it was there is the socket's.
	 */
	connection = bpf_map_lookup_elem(&connections, &socket);
	if (!connection || connection->started_boot_ns != started_boot_ns ||
	    !is_socket_of(sk, connection))
		return;
	if (!bpf_seq_write(seq, &record, sizeof(record)))
		connection->told_bytes = bytes;
}

/* An entry of the table of connections. One that has carried nothing new costs two reads. */
static __always_inline void report_followed(struct seq_file *seq, __u64 socket,
					    const struct connection *connection)
{
	struct tcp_sock *tp = (void *)socket;

	if (!connection->is_established)
		return;
	if (BPF_CORE_READ(tp, bytes_sent) + BPF_CORE_READ(tp, bytes_received) ==
	    connection->told_bytes)
		return;
	report_carried(seq, socket, connection->started_boot_ns);
}
