/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tells user space the path of a cgroup, once: it may be gone when user space looks. */
#pragma once

#define CGROUP_STEPS 64

/*
 * Cgroups whose path was sent: inserted after the record was, never deleted. The least recently
 * used are forgotten when it is full, and sent again if they come back.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u8);
} known_cgroups SEC(".maps");

/* Takes one step towards the root cgroup, which has no parent and no name. */
__noinline int cgroup_step(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratch_slots, &slot);
	struct kernfs_node *node, *parent;
	__u64 cursor;
	long length;

	if (!scratch)
		return 0;
	node = scratch->node;
	parent = kernfs_parent(node);
	cursor = scratch->cursor;
	keep_in_one_register(cursor);
	if (!parent || cursor > PATH_LENGTH)
		return 0;
	length = bpf_probe_read_kernel_str(scratch->cgroup.text + cursor, NAME_LENGTH,
					   BPF_CORE_READ(node, name));
	if (length <= 0)
		return 0;
	scratch->cursor = cursor + length;
	scratch->node = parent;
	return 1;
}

static __always_inline bool send_cgroup(struct scratch *scratch, __u32 slot, struct cgroup *cgroup,
					__u64 id)
{
	__u64 size;
	int i;

	scratch->node = BPF_CORE_READ(cgroup, kn);
	scratch->cursor = 0;
	for (i = 0; i < CGROUP_STEPS; i++)
		if (!cgroup_step(slot))
			break;
	scratch->cgroup.kind = EVENT_CGROUP;
	scratch->cgroup.id = id;
	scratch->cgroup.path_end = scratch->cursor;
	size = __builtin_offsetof(struct cgroup_record, text) + scratch->cursor;
	keep_in_one_register(size);
	if (size > sizeof(struct cgroup_record))
		return false;
	return send_record(&scratch->cgroup, size);
}

/* Sends the path of a cgroup unless it was sent before; false if that was not possible. */
static __always_inline bool announce_cgroup(struct cgroup *cgroup, __u64 id)
{
	bool is_known = false;
	struct scratch *scratch;
	__u8 known = 1;
	__u32 slot;

	if (!id || bpf_map_lookup_elem(&known_cgroups, &id))
		return true;
	slot = take_slot();
	scratch = bpf_map_lookup_elem(&scratch_slots, &slot);
	if (!scratch)
		return false;
	if (send_cgroup(scratch, slot, cgroup, id)) {
		bpf_map_update_elem(&known_cgroups, &id, &known, BPF_ANY);
		is_known = true;
	}
	give_slot_back(slot);
	return is_known;
}
