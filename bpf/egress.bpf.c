// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reports every outbound flow of this host with the process that made it.
 *
 * A table of contents: hook -> reader -> body -> output, each line below may use those above it.
 */
#include "abi.h"
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "event.h"
#include "config.h"
#include "access.h"
#include "compat.h"
#include "output.h"

/* readers: one kernel type in, one struct of ours out */
#include "endpoint.h"
#include "packet.h"
#include "payload.h"
#include "task.h"

/* bodies: what an event means */
#include "scratch.h"
#include "path.h"
#include "cgroup_path.h"
#include "process.h"
#include "local.h"
#include "asker.h"
#include "connection.h"
#include "conversation.h"
#include "name_packet.h"
#include "names.h"
#include "inventory.h"
#include "carried.h"
#include "datagram.h"
#include "handmade.h"
#include "association.h"

/* programs */
#include "hooks/kprobe.h"
#include "hooks/module.h"
#include "hooks/trampoline.h"
#include "hooks/cgroup.h"
#include "hooks/names.h"
#include "hooks/tracepoint.h"
#include "hooks/iterator.h"

/* The kernel accepts the tracing helpers from programs that say that they are GPL only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
