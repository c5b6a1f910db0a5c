/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers: struct task_struct -> process key, sender, ancestors. */
#pragma once

#define PF_KTHREAD 0x00200000

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* Threads belong to the process of their leader, and so do the workers of io_uring. */
static __always_inline void process_key_from_task(struct process_key *key, struct task_struct *task,
						  enum access access)
{
	struct task_struct *leader = read_field(access, task, group_leader);

	key->started_boot_ns = read_field(access, leader, start_boottime);
	key->exec_id = read_field(access, leader, self_exec_id);
	key->pid = read_field(access, task, tgid);
}

static __always_inline struct cgroup *task_cgroup(struct task_struct *task, enum access access)
{
	struct css_set *cgroups = read_field(access, task, cgroups);

	return read_field(access, cgroups, dfl_cgrp);
}

static __always_inline __u64 cgroup_id(struct cgroup *cgroup, enum access access)
{
	struct kernfs_node *kn;

	if (!cgroup)
		return 0;
	kn = read_field(access, cgroup, kn);
	return read_field(access, kn, id);
}

static __always_inline void sender_add_task(struct sender *sender, struct task_struct *task,
					    enum access access)
{
	const struct cred *cred;

	process_key_from_task(&sender->process, task, access);
	/* The helpers for these are not to be had in cgroup_skb before 6.18. */
	if (access == ACCESS_KPROBE) {
		sender->uid = (__u32)bpf_get_current_uid_gid();
		sender->cgroup_id = bpf_get_current_cgroup_id();
		return;
	}
	cred = read_field(access, task, cred);
	sender->uid = read_field(access, cred, uid.val);
	sender->cgroup_id = cgroup_id(task_cgroup(task, access), access);
}

/* As a rule the socket is of the task's own cgroup, and that is known already. */
static __always_inline void sender_add_typed_task(struct sender *sender, struct task_struct *task,
						  const struct socket_owner *owner)
{
	sender_add_task(sender, task, ACCESS_TRAMPOLINE);
	if (owner->cgroup == task_cgroup(task, ACCESS_TRAMPOLINE))
		sender->socket_cgroup_id = sender->cgroup_id;
	else
		sender->socket_cgroup_id = cgroup_id(owner->cgroup, ACCESS_KPROBE);
}

/* What the socket says of the sender; false if that is all, since the socket is the kernel's own.
 */
static __always_inline bool sender_from_owner(struct sender *sender,
					      const struct socket_owner *owner)
{
	sender->socket_uid = owner->uid;
	sender->network_namespace = owner->network_namespace;
	if (!owner->is_kernel)
		return true;
	sender->socket_cgroup_id = cgroup_id(owner->cgroup, ACCESS_KPROBE);
	sender->flags = SENDER_KERNEL_SOCKET;
	return false;
}

/* Who sends: the task, unless the socket is the kernel's own. */
static __always_inline void
sender_from_task(struct sender *sender, const struct socket_owner *owner, struct task_struct *task)
{
	if (!sender_from_owner(sender, owner))
		return;
	sender->socket_cgroup_id = cgroup_id(owner->cgroup, ACCESS_KPROBE);
	sender_add_task(sender, task, ACCESS_CGROUP);
}

/* The same of the running task. */
static __always_inline void
sender_from_current(struct sender *sender, const struct socket_owner *owner, enum access access)
{
	if (!sender_from_owner(sender, owner))
		return;
	if (access == ACCESS_TRAMPOLINE && has_typed_task()) {
		sender_add_typed_task(sender, bpf_get_current_task_btf(), owner);
		return;
	}
	sender->socket_cgroup_id = cgroup_id(owner->cgroup, ACCESS_KPROBE);
	sender_add_task(sender, current_task(),
			access == ACCESS_TRAMPOLINE ? ACCESS_KPROBE : access);
}

static __always_inline __u32 task_pid_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct pid_namespace *namespace = NULL;
	__u64 offset;

	if (!pid)
		return 0;
	/* The innermost namespace is the last element of a table whose element size varies. */
	offset = bpf_core_field_offset(struct pid, numbers) +
		 (__u64)BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid) +
		 bpf_core_field_offset(struct upid, ns);
	bpf_probe_read_kernel(&namespace, sizeof(namespace), (void *)pid + offset);
	return BPF_CORE_READ(namespace, ns.inum);
}

static __always_inline void process_record_from_task(struct process_record *record,
						     struct task_struct *task)
{
	const struct cred *real_cred = BPF_CORE_READ(task, real_cred);
	struct nsproxy *nsproxy = BPF_CORE_READ(task, nsproxy);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);

	record->ppid = BPF_CORE_READ(task, group_leader, real_parent, tgid);
	record->uid = BPF_CORE_READ(real_cred, uid.val);
	record->euid = BPF_CORE_READ(task, cred, euid.val);
	record->login_uid = task_login_uid(task);
	record->audit_session = task_audit_session(task);
	record->net_namespace = BPF_CORE_READ(nsproxy, net_ns, ns.inum);
	record->mnt_namespace = BPF_CORE_READ(nsproxy, mnt_ns, ns.inum);
	record->user_namespace = BPF_CORE_READ(real_cred, user_ns, ns.inum);
	record->pid_namespace = task_pid_namespace(task);
	BPF_CORE_READ_STR_INTO(&record->comm, task, group_leader, comm);
	record->tty[0] = 0;
	if (tty)
		BPF_CORE_READ_STR_INTO(&record->tty, tty, name);
}

/* The parent chain, nearest first; ends before the idle task, which is its own parent. */
static __always_inline void ancestors_from_task(struct process_record *record,
						struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, group_leader);
	__u32 count = 0;

#pragma unroll
	for (int i = 0; i < ANCESTORS; i++) {
		struct ancestor *ancestor = &record->ancestors[i];

		parent = BPF_CORE_READ(parent, real_parent, group_leader);
		ancestor->pid = BPF_CORE_READ(parent, tgid);
		if (!ancestor->pid)
			break;
		ancestor->started_boot_ns = BPF_CORE_READ(parent, start_boottime);
		ancestor->reserved = 0;
		BPF_CORE_READ_STR_INTO(&ancestor->comm, parent, comm);
		count = i + 1;
	}
	record->ancestor_count = count;
}
