/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings, written by user space before the programs are loaded. */
#pragma once

/* Record flows that stay on this host as well. */
const volatile __u8 include_loopback = 0;

/* Wake the reader when this many bytes wait in the ring; until then it comes by itself. A wake-up
 * for each record was measured to cost seven eighths of the whole. */
const volatile __u32 wake_up_bytes = 262144;

/* Which of the two tables counts datagrams now; user space flips it and drains the other. */
volatile __u32 active_datagrams = 0;

/* Entries that were added to the tables of datagrams; tells user space whether a drain is due. */
volatile __u64 datagram_entries = 0;

/*
 * Types that only travel through the ring are not in the object's BTF unless something has them.
 */
struct record_types {
	struct process_record process;
	struct cgroup_record cgroup;
	struct connect_record connect;
	struct connection_end_record end;
	struct datagram_key datagram_key;
	struct datagram_count datagram_count;
	struct module_record module;
	struct connection connection;
	struct own_address own_address;
	struct loss loss;
	enum event_kind event_kind;
	enum sender_flags sender_flags;
	enum endpoint_flags endpoint_flags;
	enum image_flags image_flags;
	enum connection_flags connection_flags;
	enum loss_cause loss_cause;
};
const volatile struct record_types *record_types __attribute__((unused)) = NULL;
