/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who asks for names through a socket: answers come in while any other task is running. */
#pragma once

#define PORT_DNS 53

/*
 * Who asks through a socket: inserted when a query is sent, or a connection for queries opened, by
 * the task that does so. Never deleted: the least recently used make room, and an answer through a
 * socket that had to is known to nobody in particular.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct process_key);
} askers SEC(".maps");

/* The running task asks through this socket. */
static __always_inline void note_asker(__u64 socket, enum access access)
{
	struct process_key process = {};

	process_key_from_task(&process, current_task(), access);
	bpf_map_update_elem(&askers, &socket, &process, BPF_ANY);
}
