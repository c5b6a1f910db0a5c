/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How calls end that the kprobes counted. The call is not counted here instead: a program of this
 * kind is skipped while the one that it interrupts is running, a kprobe is not.
 */
#pragma once

SEC("?fexit/udp_sendmsg")
int BPF_PROG(fexit_udp_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message4(&remote, sk, message))
		report_refused(sk, &remote, length, result);
	return 0;
}

SEC("?fexit/udpv6_sendmsg")
int BPF_PROG(fexit_udpv6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message6(&remote, sk, message))
		report_refused(sk, &remote, length, result);
	return 0;
}

SEC("?fexit/ping_v4_sendmsg")
int BPF_PROG(fexit_ping_v4_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message4(&remote, sk, message))
		report_refused(sk, &remote, length, result);
	return 0;
}

SEC("?fexit/ping_v6_sendmsg")
int BPF_PROG(fexit_ping_v6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message6(&remote, sk, message))
		report_refused(sk, &remote, length, result);
	return 0;
}

SEC("?fexit/raw_sendmsg")
int BPF_PROG(fexit_raw_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message4(&remote, sk, message))
		report_raw_refused(sk, &remote, message, length, result);
	return 0;
}

SEC("?fexit/rawv6_sendmsg")
int BPF_PROG(fexit_rawv6_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length,
	     int result)
{
	struct endpoint remote = {};

	if (result < 0 && endpoint_from_message6(&remote, sk, message))
		report_raw_refused(sk, &remote, message, length, result);
	return 0;
}

SEC("?fexit/packet_sendmsg")
int BPF_PROG(fexit_packet_sendmsg, struct socket *socket, struct msghdr *message,
	     unsigned long length, int result)
{
	if (result < 0)
		report_frame_refused(BPF_CORE_READ(socket, sk), message, length, result);
	return 0;
}
