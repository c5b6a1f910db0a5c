/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The readers of packets, as plain functions. */
#pragma once

#include "abi.h"
#include "kernel.h"

#include "helpers.h"

#include "event.h"
#include "access.h"
#include "compat.h"
#include "endpoint.h"
#include "packet.h"
#include "payload.h"

/* What a reader made of a packet, as the Rust side of the harness takes it. */
struct packet_seen {
	__u8 address[16];
	__u32 payload_bytes;
	__u16 port;
	__u16 local_port;
	__u8 protocol;
	__u8 has_address;
	__u16 reserved;
};

static void packet_tell(struct packet_seen *seen, const struct packet *packet)
{
	__builtin_memset(seen, 0, sizeof(*seen));
	__builtin_memcpy(seen->address, packet->remote.address, sizeof(seen->address));
	seen->payload_bytes = packet->payload_bytes;
	seen->port = packet->remote.port;
	seen->local_port = packet->local_port;
	seen->protocol = packet->remote.protocol;
	seen->has_address = !!(packet->remote.flags & ENDPOINT_HAS_ADDRESS);
}
