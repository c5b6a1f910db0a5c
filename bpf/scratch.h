/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room to build a record that is too large for the stack.
 *
 * Slots are taken by inserting their number into a hash map and given back by deleting it. One slot
 * per CPU would not do: some of the programs can be preempted, and then another would write into
 * the same one.
 */
#pragma once

/* What take_slot() returns instead of a slot: no table has an element of this number. */
#define NO_SLOT 0xffffffff

/* Slots that are tried before giving up. */
#define SCRATCH_TRIES 4

struct scratch {
	/* Where a walk to the root stands. */
	struct dentry *dentry;
	struct vfsmount *mount;
	struct kernfs_node *node;
	__u64 cursor;
	__u64 limit;
	__u32 is_pseudo;
	__u32 is_truncated;
	union {
		struct process_record process;
		struct cgroup_record cgroup;
	};
};

/* The slots. Never inserted into or deleted from. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_slots SEC(".maps");

/* Slots that are taken: inserted by take_slot(), deleted by give_slot_back(), cannot overflow. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u8);
} scratch_taken SEC(".maps");

/* A slot of the caller's own, or NO_SLOT if all that were tried are taken. */
static __always_inline __u32 take_slot(void)
{
	__u32 first = bpf_get_prandom_u32();
	__u8 taken = 1;

#pragma unroll
	for (int i = 0; i < SCRATCH_TRIES; i++) {
		__u32 slot = (first + i) % scratch_slot_count;

		if (bpf_map_update_elem(&scratch_taken, &slot, &taken, BPF_NOEXIST) == 0)
			return slot;
	}
	count_loss(LOSS_SCRATCH_FULL, 0);
	return NO_SLOT;
}

static __always_inline void give_slot_back(__u32 slot)
{
	bpf_map_delete_elem(&scratch_taken, &slot);
}
