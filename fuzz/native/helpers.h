/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What libbpf and the kernel give to programs, for readers that are compiled as plain functions.
 * The kernel's memory and the sender's are the pieces that were declared; reading anything else
 * fails, as it does there.
 */
#pragma once

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#undef __noinline
/* Several readers are linked into one program, each with its own. */
#define __noinline static __attribute__((noinline))

#define bpf_htons(value) __builtin_bswap16(value)
#define bpf_ntohs(value) __builtin_bswap16(value)
#define bpf_htonl(value) __builtin_bswap32(value)
#define bpf_ntohl(value) __builtin_bswap32(value)

#define EFAULT 14

/* A stretch of memory that can be read. */
struct piece {
	const void *start;
	__u64 length;
};

#define MOST_PIECES 16

static _Thread_local struct piece pieces[MOST_PIECES];
static _Thread_local __u32 piece_count;
/* The packet that a __sk_buff stands for. */
static _Thread_local struct piece packet_piece;

static void forget_pieces(void)
{
	piece_count = 0;
}

static void declare_piece(const void *start, __u64 length)
{
	if (piece_count < MOST_PIECES)
		pieces[piece_count++] = (struct piece){ start, length };
}

static long read_piece(void *into, __u32 size, const void *from)
{
	for (__u32 i = 0; i < piece_count; i++) {
		__u64 at = (__u64)from - (__u64)pieces[i].start;

		if ((__u64)from < (__u64)pieces[i].start || at > pieces[i].length ||
		    size > pieces[i].length - at)
			continue;
		__builtin_memcpy(into, from, size);
		return 0;
	}
	__builtin_memset(into, 0, size);
	return -EFAULT;
}

#define bpf_probe_read_kernel(into, size, from) read_piece(into, size, from)
#define bpf_probe_read_user(into, size, from) read_piece(into, size, from)

/* Like the kernel's: all or nothing, and zeroes where it failed. */
static long bpf_skb_load_bytes(const void *skb, __u32 offset, void *into, __u32 size)
{
	(void)skb;
	if (offset > 0x7fffffff || offset > packet_piece.length ||
	    size > packet_piece.length - offset) {
		__builtin_memset(into, 0, size);
		return -EFAULT;
	}
	__builtin_memcpy(into, (const __u8 *)packet_piece.start + offset, size);
	return 0;
}

/* One field, or a field of what a field points to. */
#define READ_FIELD(from, field)                                                                    \
	({                                                                                         \
		__typeof__((from)->field) field_value;                                             \
		read_piece(&field_value, sizeof(field_value), &(from)->field);                     \
		field_value;                                                                       \
	})
#define READ_1(from, one) READ_FIELD(from, one)
#define READ_2(from, one, two) READ_FIELD(READ_FIELD(from, one), two)
#define PICK_READ(one, two, name, ...) name
#define BPF_CORE_READ(from, ...) PICK_READ(__VA_ARGS__, READ_2, READ_1, )(from, __VA_ARGS__)
#define BPF_CORE_READ_BITFIELD(from, field) ((from)->field)
#define BPF_CORE_READ_BITFIELD_PROBED(from, field) ((from)->field)
/* Types are those of kernel.h itself, and no other kernel's. */
#define bpf_core_field_exists(field) 0
#define bpf_core_enum_value_exists(type, value) 1
#define bpf_core_enum_value(type, value) (value)
#define bpf_core_type_exists(type) 1
