//! Backends: sets of hooks that are turned on together, and what each cannot see.

use std::{fmt, str::FromStr};

use crate::model::BlindSpot;

/// A set of hooks that is turned on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Trampolines on the functions that connect and send.
    Fexit,
    /// Kprobes on the same functions, which cost more and can be had on more kernels.
    Kprobe,
    /// Hooks on the root cgroup, for kernels without kprobes.
    Cgroup,
}

/// What is lost when a program cannot be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The backend.
    All,
    /// One kind of flow, by code and sentence.
    OneKind(&'static str, &'static str),
    /// Nothing: a kernel that lacks what the program is for has no use for it.
    Nothing,
    /// Nothing while that module is not loaded; then one kind of flow.
    Module(&'static str, (&'static str, &'static str)),
}

/// A program of the object and what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook {
    pub(super) program: &'static str,
    pub(super) need: Need,
}

const fn hook(program: &'static str) -> Hook {
    Hook {
        program,
        need: Need::All,
    }
}

const fn optional(program: &'static str, code: &'static str, text: &'static str) -> Hook {
    Hook {
        program,
        need: Need::OneKind(code, text),
    }
}

const fn of_module(module: &'static str, program: &'static str) -> Hook {
    Hook {
        program,
        need: Need::Module(module, NO_MODULE_FUNCTION),
    }
}

/// What is lost where a module is there and a function in it is not.
const NO_MODULE_FUNCTION: (&str, &str) = (
    "module-functions",
    "SCTP, DCCP or L2TP over IP is seen in part or not at all: a function of its module cannot be \
     hooked on this kernel",
);

/// Programs on tracepoints are named after them.
pub(super) const TRACEPOINT: &str = "tracepoint_";

const FRAME_TRACEPOINT: Hook = optional(
    "tracepoint_sock_send_length",
    "frames",
    "frames sent through AF_PACKET sockets are not seen: this kernel has no tracepoint for them",
);

const NO_FRAMES: (&str, &str) = (
    "frames",
    "frames sent through AF_PACKET sockets are not seen: this kernel has no such function",
);

const NO_OLD_FRAMES: (&str, &str) = (
    "frames-old",
    "frames sent through SOCK_PACKET sockets are not seen: this kernel has no such function",
);

const NO_IPV6: &str = "this kernel has no such function; flows of this kind over IPv6 are not seen";

/// Count datagrams of UDP, tell which come in, and with which errno the kernel refuses others.
const TRAMPOLINES: [Hook; 8] = [
    hook("fentry_udp_enqueue"),
    hook("fexit_udp_sendmsg"),
    hook("fexit_udpv6_sendmsg"),
    hook("fexit_ping_v4_sendmsg"),
    hook("fexit_ping_v6_sendmsg"),
    hook("fexit_raw_sendmsg"),
    hook("fexit_rawv6_sendmsg"),
    hook("fexit_packet_sendmsg"),
];

/// What can be had of it without them.
const WITHOUT_TRAMPOLINES: [Hook; 3] = [
    hook("kprobe_udp_sendmsg"),
    optional("kprobe_udpv6_sendmsg", "udp-ipv6", NO_IPV6),
    hook("kprobe_udp_enqueue"),
];

/// What cannot.
pub(super) const NO_RESULTS: (&str, &str) = (
    "datagram-errno",
    "a datagram that the kernel refuses to send is recorded as sent",
);

const KPROBE: [Hook; 5] = [
    hook("tracepoint_inet_sock_set_state"),
    hook("kprobe_tcp_v4_connect"),
    hook("kretprobe_tcp_v4_connect"),
    optional("kprobe_tcp_v6_connect", "tcp-ipv6", NO_IPV6),
    optional("kretprobe_tcp_v6_connect", "tcp-ipv6-errno", NO_IPV6),
];

const FEXIT: [Hook; 3] = [
    hook("tracepoint_inet_sock_set_state"),
    hook("fexit_tcp_v4_connect"),
    hook("fexit_tcp_v6_connect"),
];

/// Datagrams of which there are few: kprobes for both backends.
const SELDOM: [Hook; 7] = [
    hook("kprobe_ping_v4_sendmsg"),
    optional("kprobe_ping_v6_sendmsg", "ping-ipv6", NO_IPV6),
    hook("kprobe_raw_sendmsg"),
    optional("kprobe_rawv6_sendmsg", "raw-ipv6", NO_IPV6),
    optional("kprobe_packet_sendmsg", NO_FRAMES.0, NO_FRAMES.1),
    optional(
        "kprobe_packet_sendmsg_spkt",
        NO_OLD_FRAMES.0,
        NO_OLD_FRAMES.1,
    ),
    Hook {
        program: "kprobe_ip_append_page",
        need: Need::Nothing,
    },
];

/// Protocols that most kernels have as modules.
const MODULES: [Hook; 13] = [
    Hook {
        program: "tracepoint_module_load",
        need: Need::Nothing,
    },
    of_module("sctp", "kprobe_sctp_connect"),
    of_module("sctp", "kretprobe_sctp_connect"),
    of_module("sctp", "kprobe_sctp_sendmsg"),
    of_module("sctp", "kretprobe_sctp_sendmsg"),
    of_module("dccp_ipv4", "kprobe_dccp_v4_connect"),
    of_module("dccp_ipv4", "kretprobe_dccp_v4_connect"),
    of_module("dccp_ipv6", "kprobe_dccp_v6_connect"),
    of_module("dccp_ipv6", "kretprobe_dccp_v6_connect"),
    of_module("l2tp_ip", "kprobe_l2tp_ip_sendmsg"),
    of_module("l2tp_ip", "kretprobe_l2tp_ip_sendmsg"),
    of_module("l2tp_ip6", "kprobe_l2tp_ip6_sendmsg"),
    of_module("l2tp_ip6", "kretprobe_l2tp_ip6_sendmsg"),
];

const CGROUP: [Hook; 9] = [
    hook("tracepoint_inet_sock_set_state"),
    hook("cgroup_connect4"),
    hook("cgroup_connect6"),
    hook("cgroup_sendmsg4"),
    hook("cgroup_sendmsg6"),
    hook("cgroup_sock_release"),
    hook("cgroup_skb_egress"),
    hook("cgroup_skb_ingress"),
    FRAME_TRACEPOINT,
];

/// What destinations are called, with every backend: programs on the root of cgroup v2.
pub(super) const NAMES: [Hook; 2] = [
    optional("names_egress", NO_NAMES.0, NO_NAMES.1),
    optional("names_ingress", NO_NAMES.0, NO_NAMES.1),
];

/// What is lost without them, for want of cgroup v2 or by choice.
pub(super) const NO_NAMES: (&str, &str) = (
    "names",
    "destinations have no names, only addresses: packets that carry names are not read (`names = \
     false`, or cgroup v2 is not mounted, or this kernel refuses what reads them)",
);

/// Runs over the files of all tasks.
pub(super) const OPEN_SOCKETS: &str = "iterator_task_file";

/// Runs over the table of connections.
pub(super) const CONNECTIONS: &str = "iterator_connections";

/// What no backend sees on any kernel.
const EVERYWHERE: [(&str, &str); 4] = [
    (
        "below-sockets",
        "AF_XDP sockets, frames written to TUN and TAP devices, PACKET_TX_RING and packets that BPF \
         programs redirect are not seen",
    ),
    ("vsock", "AF_VSOCK is not IP and is not seen"),
    (
        "open-connections",
        "a connection that was open before the observer started is not seen if no process holds its \
         socket as a file: closed but not yet over, registered with io_uring only, on its way between \
         processes, or the kernel's own",
    ),
    (
        "later-subflows",
        "a subflow of a Multipath TCP connection that is opened when the first one has ended is \
         recorded as the kernel's",
    ),
];

const KPROBE_BLIND: [(&str, &str); 4] = [
    (
        "association-bytes",
        "of SCTP and DCCP connections the bytes that come in are not counted, of DCCP none at all",
    ),
    (
        "many-peers",
        "an SCTP socket with many peers is recorded by its calls: what it sends to an association \
         by its number is not seen, an answer to a peer that wrote first is recorded as if it had \
         not",
    ),
    (
        "forbidden-connect",
        "a connect that a BPF program of a cgroup forbids is not seen: it never reaches the hook",
    ),
    (
        "unread-addresses",
        "what a namespace sends to its own addresses is recorded if it ended before they were read",
    ),
];

/// What its hooks come too late for.
const FEXIT_BLIND: (&str, &str) = (
    "fast-open-names",
    "the server name in a connection's very first packet (TCP Fast Open) is not read: what answers \
     said names it",
);

const CGROUP_BLIND: [(&str, &str); 5] = [
    (
        "connect-errno",
        "a connect that fails before its first packet is recorded without an errno",
    ),
    (
        "datagram-errno",
        "a datagram that is refused on an unconnected UDP socket is recorded as failed without an \
         errno; on any other socket it is not seen",
    ),
    (
        "association-packets",
        "of SCTP the packet that asks for an association is recorded; of SCTP and DCCP bytes are \
         not, and of an SCTP socket with many peers neither are outcome and later packets",
    ),
    (
        "frame-destination",
        "frames sent through AF_PACKET sockets are recorded with their process and length, without a \
         destination",
    ),
    (
        "more-data",
        "several calls that fill one datagram (MSG_MORE) count as one attempt",
    ),
];

impl Backend {
    /// All backends, best first.
    pub const BY_PREFERENCE: [Self; 3] = [Self::Fexit, Self::Kprobe, Self::Cgroup];

    /// Its name on the command line, in the store and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe",
            Self::Fexit => "fexit",
            Self::Cgroup => "cgroup",
        }
    }

    pub(super) fn hooks(self) -> Vec<Hook> {
        match self {
            Self::Fexit => [FEXIT.as_slice(), &TRAMPOLINES, &SELDOM, &MODULES].concat(),
            Self::Kprobe => [KPROBE.as_slice(), &SELDOM, &MODULES].concat(),
            Self::Cgroup => CGROUP.to_vec(),
        }
    }

    /// The hooks that it can do without: all of them are on, or none is.
    pub(super) fn trampolines(self) -> &'static [Hook] {
        match self {
            Self::Kprobe => &TRAMPOLINES,
            Self::Fexit | Self::Cgroup => &[],
        }
    }

    /// The hooks that do part of their work on kernels without trampolines.
    pub(super) fn instead_of_trampolines(self) -> &'static [Hook] {
        match self {
            Self::Kprobe => &WITHOUT_TRAMPOLINES,
            Self::Fexit | Self::Cgroup => &[],
        }
    }

    /// What it cannot see on any kernel.
    pub fn blind_spots(self) -> Vec<BlindSpot> {
        let own = match self {
            Self::Fexit => [KPROBE_BLIND.as_slice(), &[FEXIT_BLIND]].concat(),
            Self::Kprobe => KPROBE_BLIND.to_vec(),
            Self::Cgroup => CGROUP_BLIND.to_vec(),
        };
        EVERYWHERE
            .iter()
            .chain(&own)
            .map(|(code, text)| blind_spot(code, text))
            .collect()
    }

    /// What it cannot see on kernels that lack one of its hooks.
    pub fn possible_blind_spots(self) -> Vec<BlindSpot> {
        let results =
            (!self.trampolines().is_empty()).then(|| blind_spot(NO_RESULTS.0, NO_RESULTS.1));
        let mut hooks = self.hooks();
        hooks.extend_from_slice(self.instead_of_trampolines());
        hooks.extend_from_slice(&NAMES);
        let kinds = hooks.iter().filter_map(|hook| match hook.need {
            Need::All | Need::Nothing => None,
            Need::OneKind(code, text) | Need::Module(_, (code, text)) => {
                Some(blind_spot(code, text))
            }
        });
        let mut possible: Vec<BlindSpot> = Vec::new();
        for spot in kinds.chain(results) {
            if !possible.contains(&spot) {
                possible.push(spot);
            }
        }
        possible
    }
}

pub(super) fn blind_spot(code: &str, text: &str) -> BlindSpot {
    BlindSpot {
        code: code.to_owned(),
        text: text.to_owned(),
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::BY_PREFERENCE
            .into_iter()
            .find(|backend| backend.name() == text)
            .ok_or(())
    }
}
