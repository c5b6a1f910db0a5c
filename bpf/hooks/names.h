/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For names, with every backend: hooks on the root of cgroup v2, which see each packet of each
 * socket. They could forbid; they never do.
 */
#pragma once

SEC("?cgroup_skb/egress")
int names_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_sock(skb);

	if (sk)
		report_names_sent(skb, sk);
	return VERDICT_ALLOW;
}

SEC("?cgroup_skb/ingress")
int names_ingress(struct __sk_buff *skb)
{
	report_names_received(skb);
	return VERDICT_ALLOW;
}
