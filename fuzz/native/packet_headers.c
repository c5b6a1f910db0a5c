/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The reader of outgoing packets, as a plain function. */
#include "abi.h"
#include "kernel.h"

#include "helpers.h"

#include "event.h"
#include "compat.h"
#include "endpoint.h"
#include "packet.h"

#include "packet_seen.h"

/* Reads `data` as a packet of that protocol; 0 if it is none. */
int read_packet(const __u8 *data, __u32 length, __u16 ethernet_type, struct packet_seen *seen)
{
	struct __sk_buff skb = { .len = length, .protocol = bpf_htons(ethernet_type) };
	struct packet packet = {};

	packet_piece = (struct piece){ data, length };
	if (!packet_from_skb(&packet, &skb))
		return 0;
	packet_tell(seen, &packet);
	seen->payload_bytes = packet.payload_bytes;
	return 1;
}
