/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One function for each difference between kernels; the kernel is asked through its BTF. */
#pragma once

/* Helpers are known by their numbers, which the kernel's BTF has as this enum. */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
};

/* Since 5.11 the running task can be had with its type. */
static __always_inline bool has_typed_task(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

/* 6.15 renamed kernfs_node.parent to __parent, when it came under RCU. */
struct kernfs_node___rcu {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___rcu *newer = (void *)kn;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(kn, parent);
}

/*
 * Before 5.15 the socket's cgroup shared a word with the net_cls class id; bit 0 told which of the
 * two it was, and bits 0 and 1 were never part of the pointer.
 */
struct sock_cgroup_data___shared {
	__u64 val;
} __attribute__((preserve_access_index));

struct sock___shared {
	struct sock_cgroup_data___shared sk_cgrp_data;
} __attribute__((preserve_access_index));

static __always_inline struct cgroup *socket_cgroup(struct sock *sk, enum access access)
{
	struct sock___shared *shared = (void *)sk;
	__u64 val;

	if (!bpf_core_field_exists(shared->sk_cgrp_data.val))
		return read_field(access, sk, sk_cgrp_data.cgroup);
	val = read_field(access, shared, sk_cgrp_data.val);
	return val & 1 ? NULL : (struct cgroup *)(val & ~3ULL);
}

/* MPTCP came with 5.6 and can be left out of a kernel. Its subflows are made by the kernel, for the
 * task. */
static __always_inline bool is_mptcp_subflow(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;

	/* Other sockets end before that field: what lies there is another's. */
	if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || !bpf_core_field_exists(tp->is_mptcp))
		return false;
	return BPF_CORE_READ_BITFIELD_PROBED(tp, is_mptcp);
}

/* The subflow that a Multipath TCP socket began with; none where the kernel has no such sockets. */
static __always_inline struct sock *mptcp_first_subflow(struct sock *sk)
{
	struct mptcp_sock *msk = (void *)sk;

	if (!bpf_core_field_exists(msk->first))
		return NULL;
	return BPF_CORE_READ(msk, first);
}

/*
 * The first subflow of the Multipath TCP connection that a subflow belongs to; NULL if `sk` is
 * none. It stays in its place until the whole connection is gone.
 */
static __always_inline struct sock *first_subflow(struct sock *sk)
{
	struct inet_connection_sock *icsk = (void *)sk;
	struct mptcp_subflow_context *subflow;

	if (!bpf_core_type_exists(struct mptcp_subflow_context))
		return NULL;
	subflow = BPF_CORE_READ(icsk, icsk_ulp_data);
	return mptcp_first_subflow(BPF_CORE_READ(subflow, conn));
}

/* Until 5.14 the lowest bit told the direction, and the field had another name. */
struct iov_iter___directed {
	unsigned int type;
} __attribute__((preserve_access_index));

static __always_inline __u32 iterator_type(struct iov_iter *iter)
{
	struct iov_iter___directed *older = (void *)iter;

	if (bpf_core_field_exists(older->type))
		return BPF_CORE_READ(older, type) & ~1U;
	return BPF_CORE_READ(iter, iter_type);
}

/* One buffer in the memory of the caller, without an array around it: since 6.0. */
static __always_inline bool is_one_buffer(__u32 type)
{
	return bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	       type == bpf_core_enum_value(enum iter_type, ITER_UBUF);
}

/* Whether the sender of a raw socket brings the IP header: a bit of its own until 6.6. */
struct inet_sock___bits {
	__u8 hdrincl : 1;
} __attribute__((preserve_access_index));

/* The kernel's enum for it has no name that could be asked for. */
#define INET_FLAGS_HDRINCL 12

static __always_inline bool brings_own_header(struct sock *sk)
{
	struct inet_sock___bits *older = (void *)sk;
	struct inet_sock *inet = (void *)sk;

	if (bpf_core_field_exists(inet->inet_flags))
		return BPF_CORE_READ(inet, inet_flags) & (1UL << INET_FLAGS_HDRINCL);
	return BPF_CORE_READ_BITFIELD_PROBED(older, hdrincl);
}

/* Kernels without audit have no login uid. */
static __always_inline __u32 task_login_uid(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->loginuid))
		return -1;
	return BPF_CORE_READ(task, loginuid.val);
}

static __always_inline __u32 task_audit_session(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->sessionid))
		return -1;
	return BPF_CORE_READ(task, sessionid);
}

/*
 * The socket of a cgroup program as a plain address. The verifier follows such a pointer by its
 * type and allows only the fields of struct bpf_sock; read back from the stack as bytes, it is a
 * number.
 */
static __always_inline struct sock *plain_sock(const void *sk)
{
	const void *volatile slot = sk;
	struct sock *plain = NULL;

	bpf_probe_read_kernel(&plain, sizeof(plain), (const void *)&slot);
	return plain;
}

/* The socket of a packet; NULL for those that only stand for one, as while a connection is asked
 * for.
 */
static __always_inline struct bpf_sock *full_sock(struct __sk_buff *skb)
{
	return skb->sk ? bpf_sk_fullsock(skb->sk) : NULL;
}

/*
 * What joins the hooks of one socket. Its address, since the cookie cannot be had in kprobes, nor
 * in tp_btf before 6.1.
 */
static __always_inline __u64 socket_id(const void *sk)
{
	return (__u64)sk;
}
