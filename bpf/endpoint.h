/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers: socket addresses and sockets -> struct endpoint, struct socket_owner. */
#pragma once

static __always_inline void endpoint_set_ipv4(struct endpoint *endpoint, __be32 address)
{
	__builtin_memset(endpoint->address, 0, 10);
	endpoint->address[10] = 0xff;
	endpoint->address[11] = 0xff;
	__builtin_memcpy(&endpoint->address[12], &address, 4);
	endpoint->flags |= ENDPOINT_HAS_ADDRESS;
}

static __always_inline void endpoint_set_ipv6(struct endpoint *endpoint, const void *address)
{
	__builtin_memcpy(endpoint->address, address, 16);
	endpoint->flags |= ENDPOINT_HAS_ADDRESS;
}

static __always_inline bool endpoint_is_mapped(const struct endpoint *endpoint)
{
	const __u8 *address = endpoint->address;
	__u64 head;
	__u32 middle;

	__builtin_memcpy(&head, address, 8);
	__builtin_memcpy(&middle, address + 8, 4);
	return head == 0 && middle == bpf_htonl(0x0000ffff);
}

static __always_inline bool protocol_has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP;
}

static __always_inline void endpoint_set_port(struct endpoint *endpoint, __be16 port)
{
	endpoint->port = protocol_has_ports(endpoint->protocol) ? bpf_ntohs(port) : 0;
}

/* From an address that can be read as it is; false if it is of another family. */
static __always_inline bool endpoint_set_sockaddr4(struct endpoint *endpoint,
						   const struct sockaddr_in *address)
{
	/* Old programs leave the family out; UDP and raw sockets take that for IPv4. */
	if (address->sin_family != AF_INET && address->sin_family != AF_UNSPEC)
		return false;
	endpoint_set_ipv4(endpoint, address->sin_addr);
	endpoint_set_port(endpoint, address->sin_port);
	return true;
}

/* From an address that the kernel has copied from the caller; false if it is of another family. */
static __always_inline bool endpoint_from_sockaddr4(struct endpoint *endpoint, const void *address)
{
	struct sockaddr_in copy;

	if (bpf_probe_read_kernel(&copy, sizeof(copy), address))
		return false;
	return endpoint_set_sockaddr4(endpoint, &copy);
}

/*
 * From an argument of a trampoline. Its type is the address of any family, in which the verifier
 * lets bytes be loaded wherever they are; one of IPv6 is longer than that type.
 */
static __always_inline bool endpoint_from_typed_sockaddr4(struct endpoint *endpoint,
							  const struct sockaddr *address)
{
	return endpoint_set_sockaddr4(endpoint, (const struct sockaddr_in *)address);
}

static __always_inline bool endpoint_from_sockaddr6(struct endpoint *endpoint, const void *address)
{
	struct sockaddr_in6 copy;

	if (bpf_probe_read_kernel(&copy, sizeof(copy), address))
		return false;
	if (copy.sin6_family != AF_INET6)
		return false;
	endpoint_set_ipv6(endpoint, &copy.sin6_addr);
	endpoint_set_port(endpoint, copy.sin6_port);
	return true;
}

/* From an address of either family; false if there is none, or it is of another. */
static __always_inline bool endpoint_from_sockaddr(struct endpoint *endpoint, const void *address)
{
	__u16 family = AF_UNSPEC;

	bpf_probe_read_kernel(&family, sizeof(family), address);
	if (family == AF_INET6)
		return endpoint_from_sockaddr6(endpoint, address);
	return family == AF_INET && endpoint_from_sockaddr4(endpoint, address);
}

/* The peer that a socket is connected to. */
static __always_inline void endpoint_from_sock4(struct endpoint *endpoint, struct sock *sk,
						enum access access)
{
	endpoint_set_ipv4(endpoint, read_field(access, sk, __sk_common.skc_daddr));
	endpoint_set_port(endpoint, read_field(access, sk, __sk_common.skc_dport));
	endpoint->flags |= ENDPOINT_CONNECTED;
}

static __always_inline void endpoint_from_sock6(struct endpoint *endpoint, struct sock *sk,
						enum access access)
{
	/* One call for all of it, whatever the access. */
	struct in6_addr address = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr);

	endpoint_set_ipv6(endpoint, &address);
	endpoint_set_port(endpoint, read_field(access, sk, __sk_common.skc_dport));
	endpoint->flags |= ENDPOINT_CONNECTED;
}

/* Where a message on an IPv4 socket (or an IPv6 one that speaks IPv4 just now) goes. */
static __always_inline bool endpoint_from_message4(struct endpoint *endpoint, struct sock *sk,
						   struct msghdr *message, enum access access)
{
	void *name = read_field(access, message, msg_name);

	endpoint->protocol = read_field(access, sk, sk_protocol);
	if (name)
		return endpoint_from_sockaddr4(endpoint, name);
	endpoint_from_sock4(endpoint, sk, access);
	return true;
}

/*
 * Where a message on an IPv6 socket goes; false for IPv4-mapped and IPv4 destinations: the kernel
 * hands those on to the IPv4 function, which has a hook of its own.
 */
static __always_inline bool endpoint_from_message6(struct endpoint *endpoint, struct sock *sk,
						   struct msghdr *message, enum access access)
{
	void *name = read_field(access, message, msg_name);
	__u16 family = AF_UNSPEC;

	endpoint->protocol = read_field(access, sk, sk_protocol);
	if (name)
		bpf_probe_read_kernel(&family, sizeof(family), name);
	if (family == AF_UNSPEC)
		endpoint_from_sock6(endpoint, sk, access);
	else if (!endpoint_from_sockaddr6(endpoint, name))
		return false;
	return !endpoint_is_mapped(endpoint);
}

/* What is known of the socket itself, whoever uses it. */
struct socket_owner {
	struct cgroup *cgroup;
	__u32 uid;
	__u32 network_namespace;
	__u16 source_port;
	bool is_kernel;
	bool is_multipath;
};

static __always_inline void socket_owner_from_sock(struct socket_owner *owner, struct sock *sk,
						   enum access access)
{
	struct net *net = read_field(access, sk, __sk_common.skc_net.net);

	owner->cgroup = socket_cgroup(sk, access);
	owner->uid = read_field(access, sk, sk_uid.val);
	owner->network_namespace = read_field(access, net, ns.inum);
	owner->source_port = read_field(access, sk, __sk_common.skc_num);
	if (access == ACCESS_TRAMPOLINE)
		owner->is_kernel = BPF_CORE_READ_BITFIELD(sk, sk_kern_sock);
	else
		owner->is_kernel = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
	/* The kernel opens subflows, for the task. */
	if (owner->is_kernel && is_mptcp_subflow(sk)) {
		owner->is_kernel = false;
		owner->is_multipath = true;
	}
}

static __always_inline bool endpoint_has_same_address(const struct endpoint *one,
						      const struct endpoint *other)
{
	__u64 left[2], right[2];

	__builtin_memcpy(left, one->address, 16);
	__builtin_memcpy(right, other->address, 16);
	return left[0] == right[0] && left[1] == right[1];
}

/* The arguments of cgroup/connect and cgroup/sendmsg. The context must be read field by field. */
static __always_inline void endpoint_from_sock_addr4(struct endpoint *endpoint,
						     struct bpf_sock_addr *ctx)
{
	endpoint->protocol = ctx->protocol;
	endpoint_set_ipv4(endpoint, ctx->user_ip4);
	endpoint_set_port(endpoint, ctx->user_port);
}

static __always_inline void endpoint_from_sock_addr6(struct endpoint *endpoint,
						     struct bpf_sock_addr *ctx)
{
	__u32 address[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
			     ctx->user_ip6[3] };

	endpoint->protocol = ctx->protocol;
	endpoint_set_ipv6(endpoint, address);
	endpoint_set_port(endpoint, ctx->user_port);
}

/* Marks an endpoint that is the one that the socket is connected to. */
static __always_inline void endpoint_compare_to_sock(struct endpoint *endpoint, struct sock *sk)
{
	struct endpoint peer = {};

	peer.protocol = endpoint->protocol;
	if (endpoint_is_mapped(endpoint))
		endpoint_from_sock4(&peer, sk, ACCESS_CGROUP);
	else
		endpoint_from_sock6(&peer, sk, ACCESS_CGROUP);
	if (peer.port && peer.port == endpoint->port && endpoint_has_same_address(&peer, endpoint))
		endpoint->flags |= ENDPOINT_CONNECTED;
}
