/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is sent to user space: the only description of it. The Rust side takes these types from
 * the BTF of the object, so nothing is written twice.
 *
 * Fields are laid out without padding, so that a record holds no byte that was not set.
 * Times are nanoseconds since boot, suspend included.
 */
#pragma once

#define COMM_LENGTH 16
#define TTY_LENGTH 64
#define ANCESTORS 8

/* As the kernel has it; on no architecture is it longer. */
#define MODULE_NAME_LENGTH 56

/* Longest path and longest arguments that are read, in bytes. */
#define PATH_LENGTH 4096
#define ARGUMENTS_LENGTH 4096

/* Room for the executable's path, the working directory and the arguments, and for one more path
 * component, which is what the verifier asks for where the bound is tight. */
#define TEXT_LENGTH (PATH_LENGTH + PATH_LENGTH + ARGUMENTS_LENGTH + PATH_LENGTH)

enum event_kind {
	/* Zeroed memory is never a record. */
	EVENT_UNSET,
	EVENT_PROCESS,
	EVENT_CGROUP,
	EVENT_CONNECT,
	EVENT_CONNECTION_END,
	EVENT_MODULE,
	EVENT_PAYLOAD,
};

/* One process image: pids are reused, and one process execs several programs. */
struct process_key {
	__u64 started_boot_ns;
	__u32 pid;
	__u32 exec_id;
};

enum sender_flags {
	/* The socket belongs to the kernel: `current` is a bystander and not named. */
	SENDER_KERNEL_SOCKET = 1,
};

/* Who sent, as it was at the attempt. */
struct sender {
	struct process_key process;
	__u64 cgroup_id;
	__u64 socket_cgroup_id;
	__u32 uid;
	__u32 socket_uid;
	__u32 network_namespace;
	__u32 flags;
};

enum endpoint_flags {
	ENDPOINT_HAS_ADDRESS = 1,
	/* The socket is connected to this very endpoint. */
	ENDPOINT_CONNECTED = 2,
};

/* Where to. Addresses are 16 bytes in network order, IPv4 as mapped addresses. */
struct endpoint {
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 flags;
};

struct ancestor {
	__u64 started_boot_ns;
	__u32 pid;
	__u32 reserved;
	__u8 comm[COMM_LENGTH];
};

enum image_flags {
	IMAGE_EXE_DELETED = 1,
	IMAGE_EXE_PSEUDO = 2,
	IMAGE_EXE_TRUNCATED = 4,
	IMAGE_DIRECTORY_TRUNCATED = 8,
	IMAGE_ARGV_TRUNCATED = 16,
	IMAGE_ARGV_UNREADABLE = 32,
	IMAGE_KERNEL_THREAD = 64,
	/* Met by the inventory, which can read only its own memory: arguments are in /proc. */
	IMAGE_ARGV_ELSEWHERE = 128,
};

/* A process image at its first attempt. Ends after the used part of `text`. */
struct process_record {
	__u32 kind;
	__u32 flags;
	struct process_key key;
	__u64 cgroup_id;
	__u64 exe_inode;
	__u32 exe_device;
	__u32 ppid;
	__u32 uid;
	__u32 euid;
	__u32 login_uid;
	__u32 audit_session;
	__u32 net_namespace;
	__u32 mnt_namespace;
	__u32 user_namespace;
	__u32 pid_namespace;
	__u8 comm[COMM_LENGTH];
	__u8 tty[TTY_LENGTH];
	__u32 ancestor_count;
	/* Ends of the parts of `text`: path components from leaf to root, each ended by a NUL;
	 * the working directory likewise; arguments, each ended by a NUL. */
	__u32 exe_end;
	__u32 directory_end;
	__u32 argv_end;
	struct ancestor ancestors[ANCESTORS];
	__u8 text[TEXT_LENGTH];
};

/* A cgroup that had not been seen before. Ends after the used part of `text`. */
struct cgroup_record {
	__u32 kind;
	/* End of the path components in `text`, from leaf to root, each ended by a NUL. */
	__u32 path_end;
	__u64 id;
	__u8 text[PATH_LENGTH + PATH_LENGTH];
};

struct connect_record {
	__u32 kind;
	/* 0 if the connection's end will not be reported, for want of room. */
	__u32 is_followed;
	/* Number of the socket: unique while it lives. */
	__u64 socket;
	__u64 started_boot_ns;
	struct sender sender;
	struct endpoint remote;
	/* It was open before it could be observed: no attempt of it was seen. */
	__u32 was_open;
};

enum connection_flags {
	/* It had been established. */
	CONNECTION_ESTABLISHED = 1,
	/* It turned out to stay on this host. */
	CONNECTION_LOCAL = 2,
	/* A SYN left. */
	CONNECTION_SENT = 4,
};

/* What became of a connect. Says everything that the connect's own record did, in case that it was
 * lost. */
struct connection_end_record {
	struct connect_record connect;
	__u64 at_boot_ns;
	__u64 bytes_out;
	__u64 bytes_in;
	__u32 error;
	__u16 source_port;
	__u16 flags;
};

/* A connection that was open before it could be observed. */
struct open_record {
	struct connect_record connect;
	/* What it had carried by then. */
	__u64 bytes_out;
	__u64 bytes_in;
	__u16 source_port;
	__u8 is_established;
	/* It does not show which side began. */
	__u8 is_unclear;
	__u32 reserved;
};

/* What a connection that is being followed has carried. */
struct carried_record {
	__u64 socket;
	__u64 started_boot_ns;
	__u64 at_boot_ns;
	__u64 bytes_out;
	__u64 bytes_in;
};

/* A module of the kernel is being loaded: hooks may have to be put into it. */
struct module_record {
	__u32 kind;
	__u8 name[MODULE_NAME_LENGTH];
};

/* What a payload may carry a name in. */
enum payload_what {
	PAYLOAD_UNSET,
	/* A message of DNS, multicast DNS or LLMNR. */
	PAYLOAD_DNS,
	/* A piece of a connection that DNS is spoken over. */
	PAYLOAD_DNS_STREAM,
	/* A piece of what a TCP connection opens with. */
	PAYLOAD_OPENING,
	/* A first packet of QUIC. */
	PAYLOAD_QUIC,
};

/* Room for payload: that of most queries and answers, that of a packet of Ethernet, and that of
 * what was put together from several. Powers of two, see emit_sized(). */
#define PAYLOAD_SMALL 512
#define PAYLOAD_MEDIUM 2048
#define PAYLOAD_LARGE 4096

/* A packet that may carry a name. `length` bytes of payload follow, and then nothing that means
 * anything. */
struct payload_record {
	__u32 kind;
	__u32 length;
	__u64 at_boot_ns;
	/* Number of the socket: unique while it lives. */
	__u64 socket;
	/* Who asked through the socket last; zero if nobody knows. */
	struct process_key process;
	struct endpoint remote;
	/* Of the packet: more than `length` if the rest of it was left out. */
	__u32 whole_length;
	/* Of a stream: number of the first byte. */
	__u32 sequence;
	__u16 local_port;
	__u8 what;
	__u8 is_received;
};

/* A connection that is being followed: the value of the `connections` map. */
struct connection {
	__u64 started_boot_ns;
	/* Bytes either way, retransmissions included, when they were last told. */
	__u64 told_bytes;
	/* Handed over to a protocol whose sockets do not count for themselves. */
	__u64 bytes_out;
	struct sender sender;
	struct endpoint remote;
	/* Thread that is inside the connect call, while a return probe will tell how it ends. */
	__u32 connecting_thread;
	/* Of what it opens with: sequence number of the byte that comes next, and bytes that are
	 * still to come, 0 before the first. */
	__u32 opening_sequence;
	__u32 opening_missing;
	__u16 source_port;
	__u8 is_established;
	__u8 is_announced;
	__u8 has_state;
	__u8 was_open;
	__u8 is_past_opening;
	__u8 reserved;
};

/* What datagrams are counted by. */
struct datagram_key {
	struct sender sender;
	struct endpoint remote;
	/* Errno with which the kernel refused them. */
	__u32 error;
};

struct datagram_count {
	/* Calls that should each end in a packet that another hook sees; with an error in the key:
	 * calls that were counted as sent under the key without it, and were refused. */
	__u64 begun;
	/* Calls or packets that went out; none if only more bytes of such as were counted. */
	__u64 sent;
	__u64 bytes;
	__u64 first_boot_ns;
	__u64 last_boot_ns;
	__u32 source_port;
	/* The packets never left this host. */
	__u8 is_local;
	__u8 has_several_ports;
	/* They may have been answers: nobody knows who wrote first. */
	__u8 is_unsure;
	__u8 reserved;
};

/* A port of a network namespace. */
struct local_port {
	__u32 network_namespace;
	__u16 port;
	__u8 protocol;
	__u8 reserved;
};

/* Datagrams to and fro between a local port and a peer. */
struct conversation {
	__u8 peer[16];
	struct local_port local;
	__u16 peer_port;
	__u16 reserved;
};

/* Who wrote first. */
enum conversation_opener {
	OPENER_UNSET,
	OPENER_SELF,
	OPENER_PEER,
	OPENER_UNKNOWN,
};

struct conversation_state {
	__u32 opener;
	/* The second of the last datagram, counted from the start of observing. */
	__u32 seen;
};

/* What was sent of a process image: the value of the `known_processes` map. */
struct known_process {
	/* The cgroups that it was last seen with, known as well. */
	__u64 cgroup_id;
	__u64 socket_cgroup_id;
};

/* An address that a network namespace itself has. */
struct own_address {
	__u8 address[16];
	__u32 network_namespace;
};

enum loss_cause {
	/* An attempt that did not fit into the ring. */
	LOSS_RING_FULL,
	/* The end of a recorded connection that did not fit into the ring. */
	LOSS_END_RING_FULL,
	LOSS_CONNECTIONS_FULL,
	LOSS_DATAGRAMS_FULL,
	/* A call whose packet is counted by itself, but whose refusal would not be noticed. */
	LOSS_CALLS_FULL,
	LOSS_SCRATCH_FULL,
	/* A datagram of which it is not known whether it is an answer, for want of room. */
	LOSS_CONVERSATIONS_FULL,
	LOSS_RETURN_PROBE_MISSED,
	/* A destination that is only in the payload, which could not be read. */
	LOSS_PAYLOAD_UNREADABLE,
	/* A packet that may have carried a name. */
	LOSS_NAMES_RING_FULL,
	LOSS_CAUSES,
};

struct loss {
	__u64 count;
	__u64 bytes;
};

_Static_assert(sizeof(struct sender) == 48, "padding in struct sender");
_Static_assert(sizeof(struct endpoint) == 20, "padding in struct endpoint");
_Static_assert(sizeof(struct connect_record) == 96, "padding in struct connect_record");
_Static_assert(sizeof(struct connection_end_record) == 128,
	       "padding in struct connection_end_record");
_Static_assert(sizeof(struct datagram_key) == 72, "padding in struct datagram_key");
_Static_assert(sizeof(struct datagram_count) == 48, "padding in struct datagram_count");
_Static_assert(sizeof(struct conversation) == 28, "padding in struct conversation");
_Static_assert(sizeof(struct connection) == 112, "padding in struct connection");
_Static_assert(sizeof(struct open_record) == 120, "padding in struct open_record");
_Static_assert(sizeof(struct carried_record) == 40, "padding in struct carried_record");
_Static_assert(sizeof(struct payload_record) == 72, "padding in struct payload_record");
