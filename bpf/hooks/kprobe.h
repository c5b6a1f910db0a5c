/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backend `kprobe`: the functions of the kernel that every way to connect or send comes through,
 * io_uring, sendmmsg, sendfile and Fast Open included, which system call hooks miss.
 */
#pragma once

SEC("?kprobe/tcp_v4_connect")
int BPF_KPROBE(kprobe_tcp_v4_connect, struct sock *sk, struct sockaddr *address)
{
	struct endpoint remote = { .protocol = IPPROTO_TCP };

	if (endpoint_from_sockaddr4(&remote, address))
		report_connect_call(sk, &remote);
	return 0;
}

/* An IPv4-mapped destination goes on to tcp_v4_connect. */
SEC("?kprobe/tcp_v6_connect")
int BPF_KPROBE(kprobe_tcp_v6_connect, struct sock *sk, struct sockaddr *address)
{
	struct endpoint remote = { .protocol = IPPROTO_TCP };

	if (endpoint_from_sockaddr6(&remote, address) && !endpoint_is_mapped(&remote))
		report_connect_call(sk, &remote);
	return 0;
}

SEC("?kretprobe/tcp_v4_connect")
int BPF_KRETPROBE(kretprobe_tcp_v4_connect, int error)
{
	connect_returned(error);
	return 0;
}

SEC("?kretprobe/tcp_v6_connect")
int BPF_KRETPROBE(kretprobe_tcp_v6_connect, int error)
{
	connect_returned(error);
	return 0;
}

SEC("?kprobe/udp_sendmsg")
int BPF_KPROBE(kprobe_udp_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message4(&remote, sk, message, ACCESS_KPROBE))
		report_send(sk, &remote, length, 0, ACCESS_KPROBE);
	return 0;
}

SEC("?kprobe/udpv6_sendmsg")
int BPF_KPROBE(kprobe_udpv6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message6(&remote, sk, message, ACCESS_KPROBE))
		report_send(sk, &remote, length, 0, ACCESS_KPROBE);
	return 0;
}

SEC("?kprobe/ping_v4_sendmsg")
int BPF_KPROBE(kprobe_ping_v4_sendmsg, struct sock *sk, struct msghdr *message,
	       unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message4(&remote, sk, message, ACCESS_KPROBE))
		report_send(sk, &remote, length, 0, ACCESS_KPROBE);
	return 0;
}

SEC("?kprobe/ping_v6_sendmsg")
int BPF_KPROBE(kprobe_ping_v6_sendmsg, struct sock *sk, struct msghdr *message,
	       unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message6(&remote, sk, message, ACCESS_KPROBE))
		report_send(sk, &remote, length, 0, ACCESS_KPROBE);
	return 0;
}

SEC("?kprobe/raw_sendmsg")
int BPF_KPROBE(kprobe_raw_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message4(&remote, sk, message, ACCESS_KPROBE))
		report_raw(sk, &remote, message, length);
	return 0;
}

SEC("?kprobe/rawv6_sendmsg")
int BPF_KPROBE(kprobe_rawv6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message6(&remote, sk, message, ACCESS_KPROBE))
		report_raw(sk, &remote, message, length);
	return 0;
}

SEC("?kprobe/packet_sendmsg")
int BPF_KPROBE(kprobe_packet_sendmsg, struct socket *socket, struct msghdr *message,
	       unsigned long length)
{
	report_frame(BPF_CORE_READ(socket, sk), message, length);
	return 0;
}

/* The old SOCK_PACKET sockets. */
SEC("?kprobe/packet_sendmsg_spkt")
int BPF_KPROBE(kprobe_packet_sendmsg_spkt, struct socket *socket, struct msghdr *message,
	       unsigned long length)
{
	report_frame(BPF_CORE_READ(socket, sk), message, length);
	return 0;
}

/* Kernels that lack it hand pages over to udp_sendmsg. */
SEC("?kprobe/ip_append_page")
int BPF_KPROBE(kprobe_ip_append_page, struct sock *sk, struct flowi4 *flow, void *page, int offset,
	       unsigned long size)
{
	report_page(sk, flow, size);
	return 0;
}

/* For kernels that refuse the trampoline of the same name. */
SEC("?kprobe/__udp_enqueue_schedule_skb")
int BPF_KPROBE(kprobe_udp_enqueue, struct sock *sk, struct sk_buff *skb)
{
	report_queued(sk, skb, ACCESS_KPROBE);
	return 0;
}
