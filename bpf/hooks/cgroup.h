/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backend `cgroup`, for kernels without kprobes: hooks on the root of cgroup v2, which every task
 * of the host is below. They could forbid; they never do.
 */
#pragma once

#define VERDICT_ALLOW 1

SEC("?cgroup/connect4")
int cgroup_connect4(struct bpf_sock_addr *ctx)
{
	struct endpoint remote = {};

	endpoint_from_sock_addr4(&remote, ctx);
	report_connect_hook(plain_sock(ctx->sk), &remote, ctx->type);
	return VERDICT_ALLOW;
}

SEC("?cgroup/connect6")
int cgroup_connect6(struct bpf_sock_addr *ctx)
{
	struct endpoint remote = {};

	endpoint_from_sock_addr6(&remote, ctx);
	report_connect_hook(plain_sock(ctx->sk), &remote, ctx->type);
	return VERDICT_ALLOW;
}

SEC("?cgroup/sendmsg4")
int cgroup_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint remote = {};

	endpoint_from_sock_addr4(&remote, ctx);
	report_send_begun(plain_sock(ctx->sk), &remote);
	return VERDICT_ALLOW;
}

SEC("?cgroup/sendmsg6")
int cgroup_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint remote = {};

	endpoint_from_sock_addr6(&remote, ctx);
	report_send_begun(plain_sock(ctx->sk), &remote);
	return VERDICT_ALLOW;
}

/* A socket whose connect failed before it had a port never changes its state. */
SEC("?cgroup/sock_release")
int cgroup_sock_release(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_TCP)
		report_release(socket_id(plain_sock(ctx)));
	return VERDICT_ALLOW;
}

SEC("?cgroup_skb/egress")
int cgroup_skb_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_sock(skb);

	if (sk)
		report_egress(skb, sk);
	return VERDICT_ALLOW;
}

SEC("?cgroup_skb/ingress")
int cgroup_skb_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_sock(skb);

	if (sk)
		report_ingress(skb, sk);
	return VERDICT_ALLOW;
}
