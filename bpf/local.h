/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stays on this host is not egress: loopback, and addresses of the sender's own network
 * namespace. */
#pragma once

/* Loopback is the first device of every network namespace. */
#define LOOPBACK_IFINDEX 1

/*
 * Addresses that a network namespace itself has: inserted by user space, which reads them when a
 * namespace is first seen and at each flush, and by learn_local(); deleted by user space. Full: the
 * rest is sorted out by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct own_address);
	__type(value, __u8);
} own_addresses SEC(".maps");

/* 127.0.0.0/8, ::1, and the unspecified addresses, which mean this host to connect and sendto. */
static __always_inline bool is_loopback_address(const struct endpoint *remote)
{
	__u64 head, tail;

	__builtin_memcpy(&head, remote->address, 8);
	__builtin_memcpy(&tail, remote->address + 8, 8);
	if (endpoint_is_mapped(remote))
		return remote->address[12] == 127 || (__u32)(tail >> 32) == 0;
	return head == 0 && (tail == 0 || tail == bpf_cpu_to_be64(1));
}

/* What goes to this host by its very address, and is not asked for. */
static __always_inline bool is_unwanted_loopback(const struct endpoint *remote)
{
	return !include_loopback && remote->flags & ENDPOINT_HAS_ADDRESS &&
	       is_loopback_address(remote);
}

static __always_inline bool stays_here(const struct endpoint *remote, __u32 network_namespace)
{
	struct own_address own = { .network_namespace = network_namespace };

	if (include_loopback || !(remote->flags & ENDPOINT_HAS_ADDRESS))
		return false;
	if (is_loopback_address(remote))
		return true;
	__builtin_memcpy(own.address, remote->address, 16);
	return bpf_map_lookup_elem(&own_addresses, &own) != NULL;
}

/* Remembers an address that was seen to lead back to this host. */
static __always_inline void learn_local(const struct endpoint *remote, __u32 network_namespace)
{
	struct own_address own = { .network_namespace = network_namespace };
	__u8 learned = 1;

	__builtin_memcpy(own.address, remote->address, 16);
	bpf_map_update_elem(&own_addresses, &own, &learned, BPF_ANY);
}
