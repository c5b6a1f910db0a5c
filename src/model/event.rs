//! What the kernel reported, decoded and owned.
//!
//! Times are nanoseconds since boot (suspend included), as the kernel stamps them. The types can be
//! written to a file and read back, so that a recorded stream replays the whole program.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Ancestor, Namespaces, ProcessKey};

/// One report of the kernel side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum KernelEvent {
    /// A process image made its first attempt.
    Process(Box<ProcessImage>),
    /// A cgroup was seen for the first time.
    Cgroup(CgroupSeen),
    /// A connect began.
    Connect(Connect),
    /// A connect failed, or a connection ended, or its state was asked for.
    ConnectionEnd(ConnectionEnd),
    /// A connection was open before it could be observed.
    OpenConnection(OpenConnection),
    /// An open connection has carried something.
    Carried(Carried),
    /// Datagrams, raw packets or frames that were counted in the kernel.
    Datagrams(DatagramCount),
    /// A packet that may carry a name.
    Payload(Payload),
}

/// Facts of a process image that are true or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
pub struct ImageFlags {
    /// The executable had no name any more.
    pub exe_deleted: bool,
    /// The executable is a memfd or another file that never had a name in a file system.
    pub exe_pseudo: bool,
    /// The executable's path is longer than is read.
    pub exe_truncated: bool,
    /// The working directory's path is longer than is read.
    pub directory_truncated: bool,
    /// The arguments are longer than is read.
    pub argv_truncated: bool,
    /// The arguments could not be read (swapped out, or the program took them away).
    pub argv_unreadable: bool,
    /// A thread of the kernel.
    pub kernel_thread: bool,
    /// The kernel side could not look into the memory of the process: its arguments are in `/proc`.
    #[serde(default)]
    pub argv_elsewhere: bool,
}

/// A process image at its first attempt. Byte strings are as the kernel has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessImage {
    /// Key.
    pub key: ProcessKey,
    /// Facts.
    pub flags: ImageFlags,
    /// Parent process id.
    pub ppid: u32,
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Audit login uid; `u32::MAX` if nobody logged in.
    pub login_uid: u32,
    /// Audit session; `u32::MAX` if none.
    pub audit_session: u32,
    /// Controlling terminal, empty if none.
    pub tty: Vec<u8>,
    /// The kernel's short name.
    pub comm: Vec<u8>,
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// The kernel's device number of the executable.
    pub exe_device: u64,
    /// Inode of the executable.
    pub exe_inode: u64,
    /// Path of the executable from the root of its mount namespace.
    pub exe: Vec<u8>,
    /// Working directory likewise.
    pub directory: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Parent chain, nearest first.
    pub ancestors: Vec<Ancestor>,
}

/// A cgroup and its path below the cgroup v2 root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupSeen {
    /// Cgroup v2 id.
    pub id: u64,
    /// Path, `/` for the root.
    pub path: Vec<u8>,
}

/// Who sent: what the kernel knew at the attempt itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Sender {
    /// The process image; pid 0 where no process can be named.
    pub process: ProcessKey,
    /// Real user id at the attempt.
    pub uid: u32,
    /// Cgroup v2 id at the attempt.
    pub cgroup_id: u64,
    /// The socket's own user id.
    pub socket_uid: u32,
    /// The socket's own cgroup v2 id; 0 if it has none.
    pub socket_cgroup_id: u64,
    /// Inode of the socket's network namespace.
    pub network_namespace: u32,
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address, IPv4-mapped ones as IPv4; none for frames.
    pub address: Option<IpAddr>,
    /// Port; 0 if the protocol has none.
    pub port: u16,
    /// IP protocol number; none for frames.
    pub protocol: Option<u8>,
}

/// One connect of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId {
    /// Number of the socket; may be used again after its end.
    pub socket: u64,
    /// When the connect began: nanoseconds since boot.
    pub started_boot_ns: u64,
}

/// A connect began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// Which.
    pub id: ConnectionId,
    /// Who.
    pub sender: Sender,
    /// Where to.
    pub remote: Endpoint,
    /// Whether its end will be reported; it is not where the kernel's table was full.
    pub is_followed: bool,
    /// It was open before it could be observed: no attempt of it was seen, and it began when it was
    /// found.
    #[serde(default)]
    pub was_open: bool,
}

/// A connection that was open before it could be observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenConnection {
    /// Which, whose, where to.
    pub connect: Connect,
    /// Whether it is established; else it waits for an answer.
    pub is_established: bool,
    /// Source port.
    pub source_port: u16,
    /// Payload bytes that it had sent by then, which nobody saw.
    pub bytes_out: u64,
    /// Payload bytes that it had received by then.
    pub bytes_in: u64,
}

/// What an open connection has carried since it began, or since it was opened if that was before it
/// could be observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Which.
    pub id: ConnectionId,
    /// When: nanoseconds since boot.
    pub at_boot_ns: u64,
    /// Payload bytes sent, retransmissions left out.
    pub bytes_out: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
}

/// What became of a connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEnd {
    /// The connect, told once more in case that its own report was lost.
    pub connect: Connect,
    /// When: nanoseconds since boot.
    pub at_boot_ns: u64,
    /// Whether a SYN left.
    pub was_sent: bool,
    /// Whether it had been established.
    pub is_established: bool,
    /// Whether it is over; a snapshot of an open connection is not.
    pub is_over: bool,
    /// Whether it turned out to stay on this host.
    pub is_local: bool,
    /// Errno (positive) that ended it, 0 if none.
    pub errno: i32,
    /// Source port, 0 if it never had one.
    pub source_port: u16,
    /// Payload bytes sent, retransmissions left out.
    pub bytes_out: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
}

/// Datagrams of one sender to one destination that ended alike, since they were last asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatagramCount {
    /// Who.
    pub sender: Sender,
    /// Where to.
    pub remote: Endpoint,
    /// Errno (positive) with which the kernel refused, 0 if it did not.
    pub errno: i32,
    /// Calls that should each end in a packet, where a hook sees the call and another the packet;
    /// with an errno: calls that were counted as sent, and were refused.
    pub begun: u64,
    /// Calls or packets that went out; 0 beside `bytes` if these belong to some that were told before.
    pub sent: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Source port; 0 if several or none.
    pub source_port: u16,
    /// Nobody knows who wrote first.
    #[serde(default)]
    pub may_be_reply: bool,
    /// First: nanoseconds since boot.
    pub first_boot_ns: u64,
    /// Last: nanoseconds since boot.
    pub last_boot_ns: u64,
}

/// What a payload may carry a name in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// A message of DNS, multicast DNS or LLMNR.
    Dns,
    /// A piece of a connection that DNS is spoken over.
    DnsStream,
    /// A piece of what a TCP connection opens with.
    Opening,
    /// A first packet of QUIC.
    Quic,
}

/// A packet that may carry a name, as it went over the network: hostile until it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// What it may be.
    pub kind: PayloadKind,
    /// When: nanoseconds since boot.
    pub at_boot_ns: u64,
    /// Number of the socket; may be used again after its end.
    pub socket: u64,
    /// Who asked through the socket last; pid 0 where nobody knows.
    pub process: ProcessKey,
    /// Where it went, or came from.
    pub remote: Endpoint,
    /// The socket's own port.
    pub local_port: u16,
    /// Whether it came in.
    pub is_received: bool,
    /// Whether there is more of the packet than was handed out.
    pub is_cut: bool,
    /// Of a stream: number of its first byte.
    pub sequence: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}
