/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The reader of messages that are whole frames or packets. */
#include "readers.h"

#define MOST_BUFFERS 8

enum message_form {
	FORM_FRAME,
	/* A frame without its link header. */
	FORM_COOKED_FRAME,
	FORM_OWN_HEADER,
};

/* A message, and how it lies in its sender's memory. */
struct message {
	const __u8 *data;
	__u32 length;
	__u32 form;
	/* enum iter_type */
	__u32 memory;
	/* The call has taken all of it already. */
	__u32 is_taken;
	/* Of a frame without its link header, as the call names it. */
	__u32 protocol;
	/* Ends of all buffers but the last, in ascending order. */
	__u32 cuts[MOST_BUFFERS - 1];
	__u32 cut_count;
};

static __u32 lay_out(const struct message *message, struct iovec *buffers)
{
	__u32 count = message->memory == ITER_UBUF ? 0 : message->cut_count;
	__u32 start = 0;

	for (__u32 i = 0; i <= count; i++) {
		__u32 end = i < count ? message->cuts[i] : message->length;

		buffers[i].iov_base = (void *)(message->data + start);
		buffers[i].iov_len = end - start;
		declare_piece(buffers[i].iov_base, buffers[i].iov_len);
		start = end;
	}
	declare_piece(buffers, (count + 1) * sizeof(*buffers));
	return count + 1;
}

static void iterate(struct iov_iter *iter, const struct message *message,
		    const struct iovec *buffers, __u32 count)
{
	iter->iter_type = message->memory;
	iter->count = message->is_taken ? 0 : message->length;
	if (message->memory == ITER_UBUF) {
		iter->kvec = (const void *)message->data;
		iter->iov_offset = message->is_taken ? message->length : 0;
	} else {
		iter->kvec = message->is_taken ? buffers + count : buffers;
	}
}

/* Reads a message; 0 if the reader could not. */
int read_message(const struct message *message, struct packet_seen *seen)
{
	struct sockaddr_ll address = { .sll_protocol = bpf_htons(message->protocol) };
	struct iovec buffers[MOST_BUFFERS] = {};
	struct msghdr header = { .msg_name = &address };
	struct packet packet = {};
	struct sock sk = {};
	bool is_read;

	forget_pieces();
	iterate(&header.msg_iter, message, buffers, lay_out(message, buffers));
	declare_piece(&address, sizeof(address));
	declare_piece(&header, sizeof(header));
	declare_piece(&sk, sizeof(sk));
	sk.sk_type = message->form == FORM_COOKED_FRAME ? SOCK_DGRAM : 0;
	if (message->form == FORM_OWN_HEADER)
		is_read = packet_from_own_header(&packet, &header, message->length);
	else
		is_read = packet_from_frame(&packet, &sk, &header, message->length);
	if (!is_read)
		return 0;
	packet_tell(seen, &packet);
	return 1;
}
