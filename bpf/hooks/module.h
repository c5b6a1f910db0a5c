/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backend `kprobe`, protocols that are modules: user space attaches these when the module is there,
 * and hears of its being loaded.
 */
#pragma once

SEC("?tp_btf/module_load")
int BPF_PROG(tracepoint_module_load, struct module *module)
{
	report_module(module);
	return 0;
}

/* Every way to connect comes through it; `addresses` has been copied from the caller. */
SEC("?kprobe/__sctp_connect")
int BPF_KPROBE(kprobe_sctp_connect, struct sock *sk, struct sockaddr *addresses)
{
	report_association_connect(sk, addresses);
	return 0;
}

SEC("?kretprobe/__sctp_connect")
int BPF_KRETPROBE(kretprobe_sctp_connect, int error)
{
	association_connect_returned(error);
	return 0;
}

SEC("?kprobe/sctp_sendmsg")
int BPF_KPROBE(kprobe_sctp_sendmsg, struct sock *sk, struct msghdr *message, unsigned long length)
{
	report_sctp_send(sk, message, length);
	return 0;
}

SEC("?kretprobe/sctp_sendmsg")
int BPF_KRETPROBE(kretprobe_sctp_sendmsg, int result)
{
	send_returned(result);
	return 0;
}

SEC("?kprobe/dccp_v4_connect")
int BPF_KPROBE(kprobe_dccp_v4_connect, struct sock *sk, struct sockaddr *address)
{
	struct endpoint remote = { .protocol = IPPROTO_DCCP };

	if (endpoint_from_sockaddr4(&remote, address))
		report_connect_call(sk, &remote);
	return 0;
}

/* An IPv4-mapped destination goes on to dccp_v4_connect. */
SEC("?kprobe/dccp_v6_connect")
int BPF_KPROBE(kprobe_dccp_v6_connect, struct sock *sk, struct sockaddr *address)
{
	struct endpoint remote = { .protocol = IPPROTO_DCCP };

	if (endpoint_from_sockaddr6(&remote, address) && !endpoint_is_mapped(&remote))
		report_connect_call(sk, &remote);
	return 0;
}

SEC("?kretprobe/dccp_v4_connect")
int BPF_KRETPROBE(kretprobe_dccp_v4_connect, int error)
{
	connect_returned(error);
	return 0;
}

SEC("?kretprobe/dccp_v6_connect")
int BPF_KRETPROBE(kretprobe_dccp_v6_connect, int error)
{
	connect_returned(error);
	return 0;
}

/* Addresses of L2TP begin like those of UDP. */
SEC("?kprobe/l2tp_ip_sendmsg")
int BPF_KPROBE(kprobe_l2tp_ip_sendmsg, struct sock *sk, struct msghdr *message,
	       unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message4(&remote, sk, message, ACCESS_KPROBE))
		report_associated_send(sk, &remote, length);
	return 0;
}

SEC("?kprobe/l2tp_ip6_sendmsg")
int BPF_KPROBE(kprobe_l2tp_ip6_sendmsg, struct sock *sk, struct msghdr *message,
	       unsigned long length)
{
	struct endpoint remote = {};

	if (endpoint_from_message6(&remote, sk, message, ACCESS_KPROBE))
		report_associated_send(sk, &remote, length);
	return 0;
}

SEC("?kretprobe/l2tp_ip_sendmsg")
int BPF_KRETPROBE(kretprobe_l2tp_ip_sendmsg, int result)
{
	send_returned(result);
	return 0;
}

SEC("?kretprobe/l2tp_ip6_sendmsg")
int BPF_KRETPROBE(kretprobe_l2tp_ip6_sendmsg, int result)
{
	send_returned(result);
	return 0;
}
