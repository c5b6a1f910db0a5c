/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The reader of packets that go out and come in. */
#include "readers.h"

/* Reads `data` as a packet of that protocol; 0 if it is none. */
int read_packet(const __u8 *data, __u32 length, __u16 ethernet_type, bool is_incoming,
		struct packet_seen *seen)
{
	struct __sk_buff skb = { .len = length, .protocol = bpf_htons(ethernet_type) };
	struct packet packet = {};

	packet_piece = (struct piece){ data, length };
	if (!packet_from_skb(&packet, &skb, is_incoming))
		return 0;
	packet_tell(seen, &packet);
	return 1;
}
