/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walks from a file to the root of its mount namespace.
 *
 *     struct path            scratch.text
 *     /usr/bin/curl   -->    "curl\0" "bin\0" "usr\0"
 *
 * The kernel's own d_path is not to be had in kprobes. One step is a global function, since those
 * are verified once by themselves: an inlined loop was rejected after 1,000,001 instructions. All
 * state is in the scratch slot, for a global function of 5.10 takes nothing but numbers.
 */
#pragma once

#define NAME_LENGTH 256

/* Names and crossings of mounts on the way to the root. */
#define PATH_STEPS 128

/* Appends a name to the text; false if there is no room. */
static __always_inline bool append_component(struct scratch *scratch, __u8 *text,
					     const unsigned char *name)
{
	__u64 cursor = scratch->cursor;
	long length;

	keep_in_one_register(cursor);
	if (cursor >= scratch->limit || cursor > TEXT_LENGTH - NAME_LENGTH) {
		scratch->is_truncated = 1;
		return false;
	}
	length = bpf_probe_read_kernel_str(text + cursor, NAME_LENGTH, name);
	if (length <= 0) {
		scratch->is_truncated = 1;
		return false;
	}
	scratch->cursor = cursor + length;
	return true;
}

/* Takes one step towards the root; 0 when there is none left. */
__noinline int path_step(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratch_slots, &slot);
	struct dentry *dentry, *parent;
	struct vfsmount *vfsmount;
	struct mount *mount, *above;

	if (!scratch)
		return 0;
	dentry = scratch->dentry;
	vfsmount = scratch->mount;
	if (dentry == BPF_CORE_READ(vfsmount, mnt_root)) {
		mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
		above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount)
			return 0;
		scratch->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		scratch->mount = (void *)above + bpf_core_field_offset(struct mount, mnt);
		return 1;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (!append_component(scratch, scratch->process.text, BPF_CORE_READ(dentry, d_name.name)))
		return 0;
	if (parent == dentry) {
		/* A file without a directory, such as a memfd. */
		scratch->is_pseudo = 1;
		return 0;
	}
	scratch->dentry = parent;
	return 1;
}

/* Walks from `path` to the root; the components are appended to the text of the slot's record. */
static __always_inline void walk_path(struct scratch *scratch, __u32 slot, const struct path *path)
{
	int i;

	scratch->dentry = BPF_CORE_READ(path, dentry);
	scratch->mount = BPF_CORE_READ(path, mnt);
	scratch->limit = scratch->cursor + PATH_LENGTH;
	scratch->is_pseudo = 0;
	scratch->is_truncated = 0;
	for (i = 0; i < PATH_STEPS; i++)
		if (!path_step(slot))
			return;
	scratch->is_truncated = 1;
}
