/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way out: records through a ring buffer, and what did not fit as numbers. */
#pragma once

/*
 * Keeps the compiler from splitting a number into the copy that is checked and the one that is
 * used: the verifier would know the bounds of the wrong one.
 */
#define keep_in_one_register(number) asm volatile("" : "+r"(number))

/* Records for user space. Full: the caller counts what the record stood for. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024 * 1024);
} events SEC(".maps");

/* Losses by cause since the start. Never reset: user space takes differences. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LOSS_CAUSES);
	__type(key, __u32);
	__type(value, struct loss);
} losses SEC(".maps");

/* The compiler makes an atomic OR of adding a constant 0, which 5.10 does not know. */
static __always_inline void add_bytes(__u64 *sum, __u64 bytes)
{
	if (bytes)
		__sync_fetch_and_add(sum, bytes);
}

static __always_inline void count_loss(__u32 cause, __u64 bytes)
{
	struct loss *loss = bpf_map_lookup_elem(&losses, &cause);

	if (!loss)
		return;
	__sync_fetch_and_add(&loss->count, 1);
	add_bytes(&loss->bytes, bytes);
}

static __always_inline __u64 wake_up_flags(void)
{
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > wake_up_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* A module is being loaded: user space is woken, since what the module does begins at once. It
 * looks for itself when it hears that something did not fit. */
static __always_inline void report_module(struct module *module)
{
	struct module_record record = { .kind = EVENT_MODULE };

	BPF_CORE_READ_STR_INTO(&record.name, module, name);
	if (bpf_ringbuf_output(&events, &record, sizeof(record), BPF_RB_FORCE_WAKEUP))
		count_loss(LOSS_RING_FULL, 0);
}

/* Sends a record; false if the ring had no room. */
static __always_inline bool send_record(void *record, __u64 size)
{
	return bpf_ringbuf_output(&events, record, size, wake_up_flags()) == 0;
}
