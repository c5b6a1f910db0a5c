/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a hook may look at the kernel's objects: what reading a field costs, and what is there. */
#pragma once

/* Constant in every program: readers are inlined, and what is for others falls away. */
enum access {
	/* Hooks of a cgroup: objects are plain addresses, read through a helper that cannot fault.
	 */
	ACCESS_CGROUP,
	/* Kprobes: likewise, but there are helpers that know the running task. */
	ACCESS_KPROBE,
	/* Trampolines: the verifier knows the types, and fields are loaded for a tenth of that. */
	ACCESS_TRAMPOLINE,
};

#define read_field(access, object, field)                                                          \
	((access) == ACCESS_TRAMPOLINE ? (object)->field : BPF_CORE_READ(object, field))
