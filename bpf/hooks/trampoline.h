/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hooks that the kernel calls through a trampoline, which costs a fraction of a kprobe. UDP, of
 * which a busy host sends the most, is counted here, with what each call returned. Of the other
 * datagrams only how calls end that the kprobes counted: what they hold must be read before it is
 * sent.
 */
#pragma once

SEC("?fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(fentry_udp_enqueue, struct sock *sk, struct sk_buff *skb)
{
	report_queued(sk, skb, ACCESS_TRAMPOLINE);
	return 0;
}

SEC("?fexit/tcp_v4_connect")
int BPF_PROG(fexit_tcp_v4_connect, struct sock *sk, struct sockaddr *address, int length,
	     int result)
{
	struct endpoint remote = { .protocol = IPPROTO_TCP };

	if (endpoint_from_typed_sockaddr4(&remote, address))
		report_connect_done(sk, &remote, result);
	return 0;
}

SEC("?fexit/tcp_v6_connect")
int BPF_PROG(fexit_tcp_v6_connect, struct sock *sk, struct sockaddr *address, int length,
	     int result)
{
	struct endpoint remote = { .protocol = IPPROTO_TCP };

	if (endpoint_from_sockaddr6(&remote, address) && !endpoint_is_mapped(&remote))
		report_connect_done(sk, &remote, result);
	return 0;
}

SEC("?fexit/udp_sendmsg")
int BPF_PROG(fexit_udp_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (endpoint_from_message4(&remote, sk, message, ACCESS_TRAMPOLINE))
		report_send(sk, &remote, length, result, ACCESS_TRAMPOLINE);
	return 0;
}

SEC("?fexit/udpv6_sendmsg")
int BPF_PROG(fexit_udpv6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (endpoint_from_message6(&remote, sk, message, ACCESS_TRAMPOLINE))
		report_send(sk, &remote, length, result, ACCESS_TRAMPOLINE);
	return 0;
}

SEC("?fexit/ping_v4_sendmsg")
int BPF_PROG(fexit_ping_v4_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message4(&remote, sk, message, ACCESS_TRAMPOLINE))
		report_refused(sk, &remote, length, result, ACCESS_TRAMPOLINE);
	return 0;
}

SEC("?fexit/ping_v6_sendmsg")
int BPF_PROG(fexit_ping_v6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message6(&remote, sk, message, ACCESS_TRAMPOLINE))
		report_refused(sk, &remote, length, result, ACCESS_TRAMPOLINE);
	return 0;
}

SEC("?fexit/raw_sendmsg")
int BPF_PROG(fexit_raw_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message4(&remote, sk, message, ACCESS_TRAMPOLINE))
		report_raw_refused(sk, &remote, message, length, result);
	return 0;
}

SEC("?fexit/rawv6_sendmsg")
int BPF_PROG(fexit_rawv6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message6(&remote, sk, message, ACCESS_TRAMPOLINE))
		report_raw_refused(sk, &remote, message, length, result);
	return 0;
}

SEC("?fexit/packet_sendmsg")
int BPF_PROG(fexit_packet_sendmsg, struct socket *socket, struct msghdr *message,
	     unsigned long length, int result)
{
	if (result < 0)
		report_frame_refused(socket->sk, message, length, result);
	return 0;
}
