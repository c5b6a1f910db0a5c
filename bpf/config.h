/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings, written by user space before the programs are loaded. */
#pragma once

/* Record flows that stay on this host as well. */
const volatile __u8 include_loopback = 0;

/* A hook tells how the call that connects ended. */
const volatile __u8 has_connect_result = 0;

/* Wake the reader when this many bytes wait in the ring; until then it comes by itself. A wake-up
 * for each record was measured to cost seven eighths of the whole. */
const volatile __u32 wake_up_bytes = 262144;

/* Tasks that can be identified at the same time; more than can be in the middle of it on any
 * machine of sensible size. */
const volatile __u32 scratch_slot_count = 64;

/* Which of the two tables counts datagrams now; user space flips it and drains the other. */
volatile __u32 active_datagrams = 0;

/* Entries that were added to the tables of datagrams; tells user space whether a drain is due. */
volatile __u64 datagram_entries = 0;

/* Nanoseconds since boot, as of less than a second ago: user space keeps it going. Asking the
 * kernel for the time would be a tenth of what a datagram costs. */
volatile __u64 observed_boot_ns = 0;

/* Seconds since observing began; user space keeps it going, several times a second. */
volatile __u32 observed_seconds = 0;

/* Set by user space once the ports are known that were in use before. */
volatile __u32 has_old_ports = 0;

/* Conversations that were inserted since the start; tells user space how fast they come. */
volatile __u64 conversations_begun = 0;

/* Set by user space while they come so fast that one may have had to make room before its time. */
volatile __u32 is_crowded = 0;

/* Connects that did not fit into the ring when they began; user space looks for those that are
 * still open at the end. */
volatile __u64 unannounced_connects = 0;

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
	struct payload_record payload;
	struct connection connection;
	struct known_process known_process;
	struct open_record open;
	struct carried_record carried;
	struct own_address own_address;
	struct local_port local_port;
	struct conversation conversation;
	struct conversation_state conversation_state;
	struct loss loss;
	enum event_kind event_kind;
	enum sender_flags sender_flags;
	enum endpoint_flags endpoint_flags;
	enum image_flags image_flags;
	enum connection_flags connection_flags;
	enum conversation_opener conversation_opener;
	enum loss_cause loss_cause;
	enum payload_what payload_what;
};
const volatile struct record_types *record_types __attribute__((unused)) = NULL;
