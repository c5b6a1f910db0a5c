/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reader: a message that is a whole frame or packet -> struct packet. Where it goes to is written
 * in it by its sender, and lies in the sender's memory.
 */
#pragma once

/* Buffers of one call that are looked at: a frame is handed over as link header, IP header,
 * transport header and payload at most. */
#define PAYLOAD_BUFFERS 4

/* Tags between the addresses of a frame and what it carries: one of the provider, one of the site.
 */
#define VLAN_TAGS 2

#define ETHERNET_HEADER 14
#define VLAN_TAG 4

/* What is read of the memory of a message. */
struct payload {
	/* Array of buffers, in the kernel; NULL if there is only `buffer`. */
	const struct iovec *buffers;
	const void *buffer;
	/* Of the first byte, from the start of the first buffer. */
	__u64 position;
	__u64 length;
	bool is_in_kernel;
};

/* Goes back over what the call has taken already, which at its return is all. */
static __always_inline bool payload_rewind(struct payload *payload, __u64 taken)
{
	for (int i = 0; payload->buffers && i < PAYLOAD_BUFFERS; i++) {
		struct iovec before = {};

		if (taken <= payload->position)
			break;
		taken -= payload->position;
		payload->buffers--;
		if (bpf_probe_read_kernel(&before, sizeof(before), payload->buffers))
			return false;
		payload->position = before.iov_len;
	}
	if (taken > payload->position)
		return false;
	payload->position -= taken;
	return true;
}

/* False if it is not in plain memory: pages of a pipe or of io_uring's fixed buffers. */
static __always_inline bool payload_from_message(struct payload *payload, struct msghdr *message,
						 __u64 length)
{
	struct iov_iter *iter = &message->msg_iter;
	__u32 type = iterator_type(iter);
	const struct iovec *memory = BPF_CORE_READ(iter, kvec);

	payload->length = length;
	payload->position = BPF_CORE_READ(iter, iov_offset);
	if (is_one_buffer(type))
		payload->buffer = memory;
	else
		payload->buffers = memory;
	payload->is_in_kernel = type == bpf_core_enum_value(enum iter_type, ITER_KVEC);
	if (!payload->buffer && !payload->is_in_kernel &&
	    type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return false;
	return payload_rewind(payload, length - BPF_CORE_READ(iter, count));
}

static __always_inline bool payload_copy(const struct payload *payload, const void *from,
					 void *into, __u32 size)
{
	if (payload->is_in_kernel)
		return bpf_probe_read_kernel(into, size, from) == 0;
	return bpf_probe_read_user(into, size, from) == 0;
}

/*
 * Where the `size` bytes are that begin `at` bytes into an array of buffers; 0 if they are not
 * there, or not in one buffer. Global, so that the verifier goes through it once and not at each
 * call.
 */
__noinline __u64 buffers_address(__u64 buffers, __u64 at, __u32 size)
{
	for (int i = 0; i < PAYLOAD_BUFFERS; i++) {
		struct iovec one = {};

		if (bpf_probe_read_kernel(&one, sizeof(one), (struct iovec *)buffers + i))
			return 0;
		if (at < one.iov_len)
			return at + size <= one.iov_len ? (__u64)one.iov_base + at : 0;
		at -= one.iov_len;
	}
	return 0;
}

/* Copies `size` bytes at `offset`; false if they are not there, or not in one buffer. */
static __always_inline bool payload_read(const struct payload *payload, __u32 offset, void *into,
					 __u32 size)
{
	__u64 at = payload->position + offset;
	__u64 address;

	if ((__u64)offset + size > payload->length)
		return false;
	if (payload->buffers)
		address = buffers_address((__u64)payload->buffers, at, size);
	else
		address = (__u64)payload->buffer + at;
	return address && payload_copy(payload, (void *)address, into, size);
}

static __always_inline bool payload_read_ports(struct packet *packet, const struct payload *payload,
					       __u32 offset)
{
	__be16 ports[2] = {};

	if (!protocol_has_ports(packet->remote.protocol))
		return true;
	if (!payload_read(payload, offset, ports, sizeof(ports)))
		return false;
	packet->local_port = bpf_ntohs(ports[0]);
	endpoint_set_port(&packet->remote, ports[1]);
	return true;
}

static __always_inline bool packet_from_payload4(struct packet *packet,
						 const struct payload *payload, __u32 offset)
{
	__u8 header[20] = {};
	__be32 address;

	if (!payload_read(payload, offset, header, sizeof(header)))
		return false;
	packet->remote.protocol = header[9];
	__builtin_memcpy(&address, &header[16], 4);
	endpoint_set_ipv4(&packet->remote, address);
	/* Only the first fragment has ports. */
	if ((header[6] & 0x1f) || header[7])
		return true;
	return payload_read_ports(packet, payload, offset + (header[0] & 0x0f) * 4);
}

static __always_inline bool packet_from_payload6(struct packet *packet,
						 const struct payload *payload, __u32 offset)
{
	__u8 header[40] = {};
	__u8 extension[4] = {};
	__u8 protocol;

	if (!payload_read(payload, offset, header, sizeof(header)))
		return false;
	endpoint_set_ipv6(&packet->remote, &header[24]);
	offset += sizeof(header);
	protocol = header[6];
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		if (!is_extension_header(protocol))
			break;
		packet->remote.protocol = protocol;
		if (!payload_read(payload, offset, extension, sizeof(extension)))
			return false;
		/* Only the first fragment has ports. */
		if (protocol == 44 && (extension[2] || extension[3] & 0xf8)) {
			packet->remote.protocol = extension[0];
			return true;
		}
		offset += protocol == 44 ? 8 : (extension[1] + 1) * 8;
		protocol = extension[0];
	}
	packet->remote.protocol = protocol;
	return payload_read_ports(packet, payload, offset);
}

/* What a frame carries, from its protocol number; what is not IP has no address. */
static __always_inline bool packet_from_link(struct packet *packet, const struct payload *payload,
					     __be16 protocol, __u32 offset)
{
	if (protocol == bpf_htons(ETH_P_IP))
		return packet_from_payload4(packet, payload, offset);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return packet_from_payload6(packet, payload, offset);
	return true;
}

/* The protocol that the call or the socket itself names. */
static __always_inline __be16 frame_protocol(struct sock *sk, struct msghdr *message)
{
	struct packet_sock *po = (void *)sk;
	void *name = BPF_CORE_READ(message, msg_name);
	struct sockaddr_ll address = {};

	if (name)
		bpf_probe_read_kernel(&address, sizeof(address), name);
	return address.sll_protocol ?: BPF_CORE_READ(po, num);
}

/* A message on a frame socket; false if it could not be read. */
static __always_inline bool packet_from_frame(struct packet *packet, struct sock *sk,
					      struct msghdr *message, __u64 length)
{
	struct payload payload = {};
	__u32 offset = ETHERNET_HEADER - sizeof(__be16);
	__be16 protocol = 0;

	if (!payload_from_message(&payload, message, length))
		return false;
	if (BPF_CORE_READ(sk, sk_type) == SOCK_DGRAM)
		return packet_from_link(packet, &payload, frame_protocol(sk, message), 0);
	for (int i = 0; i <= VLAN_TAGS; i++) {
		if (!payload_read(&payload, offset, &protocol, sizeof(protocol)))
			return false;
		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		offset += VLAN_TAG;
	}
	return packet_from_link(packet, &payload, protocol, offset + sizeof(protocol));
}

/*
 * A message on a raw socket that brings its own IP header: what is in there goes to the network,
 * whatever address was given to the call. False if it could not be read.
 */
static __always_inline bool packet_from_own_header(struct packet *packet, struct msghdr *message,
						   __u64 length)
{
	struct payload payload = {};
	__u8 version = 0;

	if (!payload_from_message(&payload, message, length) ||
	    !payload_read(&payload, 0, &version, sizeof(version)))
		return false;
	if (version >> 4 == 6)
		return packet_from_payload6(packet, &payload, 0);
	return packet_from_payload4(packet, &payload, 0);
}
