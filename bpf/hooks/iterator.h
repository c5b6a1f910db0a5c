/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that the kernel runs for each thing of a kind while user space reads, instead of when
 * something happens.
 */
#pragma once

SEC("?iter/task_file")
int iterator_task_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	/* The last round has none. */
	if (task && file)
		report_held_file(ctx->meta->seq, task, file);
	return 0;
}

SEC("?iter/bpf_map_elem")
int iterator_connections(struct bpf_iter__bpf_map_elem *ctx)
{
	const __u64 *socket = ctx->key;
	const struct connection *connection = ctx->value;

	if (socket && connection)
		report_followed(ctx->meta->seq, *socket, connection);
	return 0;
}
