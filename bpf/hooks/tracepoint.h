/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs of both backends, and the tracepoint that only newer kernels have. */
#pragma once

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tracepoint_inet_sock_set_state, struct sock *sk, int before, int after)
{
	__u16 protocol = sk->sk_protocol;

	if (protocol == IPPROTO_TCP && !is_passing_state(after))
		report_state(sk, after);
	else if (protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP)
		report_association_state(sk, protocol, after);
	return 0;
}

/* Since 6.3. The only hook of kernels without kprobes that sees frame sockets. */
SEC("?tp_btf/sock_send_length")
int BPF_PROG(tracepoint_sock_send_length, struct sock *sk, int result, int flags)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_PACKET)
		report_frame_sent(sk, result);
	return 0;
}
