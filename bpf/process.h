/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tells user space who a process image is, once, while it certainly still exists. */
#pragma once

/*
 * Process images that were sent: inserted after the record was, deleted by user space when it
 * forgets one. The least recently used are forgotten when it is full, and sent again if they send
 * again; nothing is lost by that.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct process_key);
	__type(value, struct known_process);
} known_processes SEC(".maps");

static __always_inline void read_executable(struct scratch *scratch, __u32 slot, struct file *file)
{
	struct process_record *record = &scratch->process;
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	record->exe_inode = BPF_CORE_READ(inode, i_ino);
	record->exe_device = BPF_CORE_READ(inode, i_sb, s_dev);
	walk_path(scratch, slot, &file->f_path);
	if (scratch->is_pseudo)
		record->flags |= IMAGE_EXE_PSEUDO;
	if (scratch->is_truncated)
		record->flags |= IMAGE_EXE_TRUNCATED;
	/* Unhashed: the name is gone, even if the file has other names. */
	if (!BPF_CORE_READ(dentry, d_hash.pprev) || !BPF_CORE_READ(inode, i_nlink))
		record->flags |= IMAGE_EXE_DELETED;
}

static __always_inline void read_arguments(struct scratch *scratch, struct task_struct *task,
					   struct mm_struct *mm)
{
	struct process_record *record = &scratch->process;
	unsigned long start = BPF_CORE_READ(mm, arg_start);
	unsigned long length = BPF_CORE_READ(mm, arg_end) - start;
	__u64 cursor = scratch->cursor;

	if (task != current_task()) {
		record->flags |= IMAGE_ARGV_ELSEWHERE;
		return;
	}
	keep_in_one_register(length);
	keep_in_one_register(cursor);
	if (length > ARGUMENTS_LENGTH) {
		record->flags |= IMAGE_ARGV_TRUNCATED;
		length = ARGUMENTS_LENGTH;
	}
	if (cursor > TEXT_LENGTH - ARGUMENTS_LENGTH)
		return;
	if (bpf_probe_read_user(record->text + cursor, length, (void *)start)) {
		record->flags |= IMAGE_ARGV_UNREADABLE;
		return;
	}
	scratch->cursor = cursor + length;
}

/* What only a program of user space has: memory, a working directory. */
static __always_inline void read_image(struct scratch *scratch, __u32 slot,
				       struct task_struct *task, struct mm_struct *mm)
{
	struct process_record *record = &scratch->process;
	struct file *file = BPF_CORE_READ(mm, exe_file);
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (file)
		read_executable(scratch, slot, file);
	record->exe_end = scratch->cursor;
	if (fs) {
		walk_path(scratch, slot, &fs->pwd);
		if (scratch->is_truncated)
			record->flags |= IMAGE_DIRECTORY_TRUNCATED;
	}
	record->directory_end = scratch->cursor;
	read_arguments(scratch, task, mm);
	record->argv_end = scratch->cursor;
}

static __always_inline bool send_process(struct scratch *scratch, __u32 slot,
					 const struct sender *sender, struct task_struct *task)
{
	struct process_record *record = &scratch->process;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u64 size;

	record->kind = EVENT_PROCESS;
	record->flags = 0;
	record->key = sender->process;
	record->cgroup_id = sender->cgroup_id;
	record->exe_inode = 0;
	record->exe_device = 0;
	record->exe_end = 0;
	record->directory_end = 0;
	record->argv_end = 0;
	scratch->cursor = 0;
	process_record_from_task(record, task);
	ancestors_from_task(record, task);
	if (!mm || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		record->flags |= IMAGE_KERNEL_THREAD;
	else
		read_image(scratch, slot, task, mm);
	size = __builtin_offsetof(struct process_record, text) + scratch->cursor;
	keep_in_one_register(size);
	if (size > sizeof(*record))
		return false;
	return send_record(record, size);
}

/* Sends what is known of a process. */
static __always_inline bool announce_process(const struct sender *sender, struct task_struct *task)
{
	struct scratch *scratch;
	bool is_sent;
	__u32 slot = take_slot();

	scratch = bpf_map_lookup_elem(&scratch_slots, &slot);
	if (!scratch)
		return false;
	is_sent = send_process(scratch, slot, sender, task);
	give_slot_back(slot);
	return is_sent;
}

static __always_inline bool announce_cgroups(const struct sender *sender,
					     const struct socket_owner *owner,
					     struct task_struct *task)
{
	if (!announce_cgroup(owner->cgroup, sender->socket_cgroup_id))
		return false;
	if (sender->cgroup_id == sender->socket_cgroup_id || !sender->cgroup_id)
		return true;
	return announce_cgroup(task_cgroup(task, ACCESS_CGROUP), sender->cgroup_id);
}

/*
 * Makes sure that user space knows the sender, before it hears what was sent. As a rule it does,
 * and that costs one look.
 */
static __always_inline void announce_sender_of_task(const struct sender *sender,
						    const struct socket_owner *owner,
						    struct task_struct *task)
{
	struct process_key key = sender->process;
	struct known_process now = {
		.cgroup_id = sender->cgroup_id,
		.socket_cgroup_id = sender->socket_cgroup_id,
	};
	struct known_process *known;

	if (sender->flags & SENDER_KERNEL_SOCKET) {
		announce_cgroups(sender, owner, task);
		return;
	}
	known = bpf_map_lookup_elem(&known_processes, &key);
	if (known && known->cgroup_id == now.cgroup_id &&
	    known->socket_cgroup_id == now.socket_cgroup_id)
		return;
	/* What could not be sent is tried again at the next attempt. */
	if (!announce_cgroups(sender, owner, task) || (!known && !announce_process(sender, task)))
		return;
	bpf_map_update_elem(&known_processes, &key, &now, BPF_ANY);
}

static __always_inline void announce_sender(const struct sender *sender,
					    const struct socket_owner *owner)
{
	announce_sender_of_task(sender, owner, current_task());
}
