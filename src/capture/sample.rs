//! Records as the kernel side writes them, for what measures or feeds the decoder without a kernel.

use super::{
    decode::bytes_of,
    skeleton::types::{self, connect_record as Connected},
};

/// The record of a process image with this pid: path, directory and arguments of a usual length.
pub fn process_record(pid: u32) -> Vec<u8> {
    let mut record = types::process_record {
        kind: types::event_kind::EVENT_PROCESS.0,
        key: process_key(pid),
        cgroup_id: 4_242,
        exe_inode: 1_311_768,
        ppid: 1,
        ancestor_count: 2,
        ..Default::default()
    };
    let parts: [&[u8]; 3] = [
        b"python3.11\0bin\0usr\0",
        b"spool\0lib\0var\0",
        b"/usr/bin/python3.11\0/opt/backup/push.py\0--all\0",
    ];
    let mut end = 0;
    let mut ends = [0; 3];
    for (part, part_end) in parts.iter().zip(&mut ends) {
        record.text[end..end + part.len()].copy_from_slice(part);
        end += part.len();
        *part_end = u32::try_from(end).unwrap_or_default();
    }
    [record.exe_end, record.directory_end, record.argv_end] = ends;
    let mut bytes = bytes_of(&record);
    bytes.truncate(std::mem::offset_of!(types::process_record, text) + end);
    bytes
}

/// The record of a connect of that process: the socket's number and where to.
pub fn connect_record(pid: u32, socket: u64, address: [u8; 4], port: u16) -> Vec<u8> {
    bytes_of(&connect(pid, socket, address, port))
}

/// The record of the end of that connect: established, and some bytes both ways.
pub fn connection_end_record(pid: u32, socket: u64, address: [u8; 4], port: u16) -> Vec<u8> {
    let mut connect = connect(pid, socket, address, port);
    connect.kind = types::event_kind::EVENT_CONNECTION_END.0;
    let flags = types::connection_flags::CONNECTION_ESTABLISHED.0
        | types::connection_flags::CONNECTION_SENT.0;
    bytes_of(&types::connection_end_record {
        connect,
        at_boot_ns: connect.started_boot_ns + 25_000_000,
        bytes_out: 420,
        bytes_in: 5_120,
        source_port: 40_000,
        flags: u16::try_from(flags).unwrap_or_default(),
        ..Default::default()
    })
}

/// The record of a cgroup of a service.
pub fn cgroup_record(id: u64) -> Vec<u8> {
    let path = b"backup.service\0system.slice\0";
    let head = std::mem::offset_of!(types::cgroup_record, text);
    let mut bytes = vec![0; head];
    let path_end = u32::try_from(path.len()).unwrap_or_default();
    bytes[..4].copy_from_slice(&types::event_kind::EVENT_CGROUP.0.to_ne_bytes());
    bytes[4..8].copy_from_slice(&path_end.to_ne_bytes());
    bytes[8..16].copy_from_slice(&id.to_ne_bytes());
    bytes.extend_from_slice(path);
    bytes
}

/// The record of a module that is being loaded.
pub fn module_record() -> Vec<u8> {
    let mut record = types::module_record {
        kind: types::event_kind::EVENT_MODULE.0,
        ..Default::default()
    };
    record.name[..4].copy_from_slice(b"sctp");
    bytes_of(&record)
}

/// The record of a packet that may carry a name: of that process's socket, going out or coming in, with
/// the number of what it is, and its payload.
pub fn payload_record(pid: u32, socket: u64, what: u8, is_received: bool, bytes: &[u8]) -> Vec<u8> {
    let Connected { remote, .. } = connect(pid, socket, [192, 0, 2, 53], 53);
    let length = u32::try_from(bytes.len()).unwrap_or_default();
    let mut record = bytes_of(&types::payload_record {
        kind: types::event_kind::EVENT_PAYLOAD.0,
        length,
        at_boot_ns: 100_000_000_000,
        socket,
        process: process_key(pid),
        remote,
        whole_length: length,
        local_port: 40_000,
        what,
        is_received: u8::from(is_received),
        ..Default::default()
    });
    record.extend_from_slice(bytes);
    record
}

/// The iterator's record of a connection of that process that was open before.
pub fn open_record(pid: u32, socket: u64, address: [u8; 4], port: u16) -> Vec<u8> {
    bytes_of(&types::open_record {
        connect: Connected {
            was_open: 1,
            ..connect(pid, socket, address, port)
        },
        bytes_out: 420,
        bytes_in: 5_120,
        source_port: 40_000,
        is_established: 1,
        ..Default::default()
    })
}

/// The iterator's record of what that connection has carried.
pub fn carried_record(pid: u32, socket: u64, address: [u8; 4], port: u16) -> Vec<u8> {
    let Connected {
        started_boot_ns, ..
    } = connect(pid, socket, address, port);
    bytes_of(&types::carried_record {
        socket,
        started_boot_ns,
        at_boot_ns: started_boot_ns + 25_000_000,
        bytes_out: 840,
        bytes_in: 10_240,
    })
}

/// The entry of the table of datagrams for three of that process to an address and port: key and
/// count.
pub fn datagram_entry(pid: u32, address: [u8; 4], port: u16) -> (Vec<u8>, Vec<u8>) {
    let Connected { sender, remote, .. } = connect(pid, 0, address, port);
    let key = types::datagram_key {
        sender,
        remote: types::endpoint {
            protocol: 17,
            ..remote
        },
        ..Default::default()
    };
    let count = types::datagram_count {
        sent: 3,
        bytes: 144,
        first_boot_ns: 100_000_000_000,
        last_boot_ns: 101_000_000_000,
        source_port: 40_000,
        ..Default::default()
    };
    (bytes_of(&key), bytes_of(&count))
}

/// The entry of the table of connections for that connect, while it is open.
pub fn connection_entry(pid: u32, socket: u64, address: [u8; 4], port: u16) -> Vec<u8> {
    let Connected {
        started_boot_ns,
        sender,
        remote,
        ..
    } = connect(pid, socket, address, port);
    bytes_of(&types::connection {
        started_boot_ns,
        sender,
        remote,
        source_port: 40_000,
        is_established: 1,
        is_announced: 1,
        has_state: 1,
        ..Default::default()
    })
}

fn process_key(pid: u32) -> types::process_key {
    types::process_key {
        started_boot_ns: 1_000_000_000 + u64::from(pid),
        pid,
        exec_id: 1,
    }
}

fn connect(pid: u32, socket: u64, address: [u8; 4], port: u16) -> types::connect_record {
    let mut mapped = [0; 16];
    mapped[10..12].fill(0xff);
    mapped[12..].copy_from_slice(&address);
    types::connect_record {
        kind: types::event_kind::EVENT_CONNECT.0,
        is_followed: 1,
        socket,
        started_boot_ns: 100_000_000_000 + socket * 1_000,
        sender: types::sender {
            process: process_key(pid),
            cgroup_id: 4_242,
            socket_cgroup_id: 4_242,
            uid: 33,
            socket_uid: 33,
            network_namespace: 4_026_531_840,
            ..Default::default()
        },
        remote: types::endpoint {
            address: mapped,
            port,
            protocol: 6,
            flags: u8::try_from(types::endpoint_flags::ENDPOINT_HAS_ADDRESS.0).unwrap_or_default(),
        },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        carried_record, cgroup_record, connect_record, connection_end_record, connection_entry,
        datagram_entry, module_record, open_record, payload_record, process_record,
    };
    use crate::{
        capture::{
            carried_bytes, connection, datagram_entry as decode_datagrams, decode, module,
            open_sockets, unannounced,
        },
        model::{KernelEvent, PayloadKind},
    };

    const ADDRESS: [u8; 4] = [192, 0, 2, 1];

    #[test]
    fn samples_are_what_the_decoder_takes() {
        let Some(KernelEvent::Process(image)) = decode(&process_record(7)) else {
            panic!("no process");
        };
        assert_eq!(image.key.pid, 7);
        assert_eq!(image.exe, b"/usr/bin/python3.11");
        assert_eq!(image.directory, b"/var/lib/spool");
        assert_eq!(image.argv.last().unwrap(), b"--all");
        let Some(KernelEvent::Connect(connect)) = decode(&connect_record(7, 9, ADDRESS, 443))
        else {
            panic!("no connect");
        };
        assert_eq!(connect.sender.process, image.key);
        assert_eq!(connect.remote.address, "192.0.2.1".parse().ok());
        let Some(KernelEvent::ConnectionEnd(end)) =
            decode(&connection_end_record(7, 9, ADDRESS, 443))
        else {
            panic!("no end");
        };
        assert_eq!(end.connect, connect);
        assert!(end.is_established && end.is_over);
        let value = connection_entry(7, 9, ADDRESS, 443);
        let open = connection(&connect, &value, 0).expect("an entry of that connect");
        assert_eq!(open.connect, connect);
        assert!(open.is_established && !open.is_over);
        let (key, count) = datagram_entry(7, ADDRESS, 53);
        let datagrams = decode_datagrams(&key, &count).expect("an entry about egress");
        assert_eq!(datagrams.sender, connect.sender);
        assert_eq!((datagrams.sent, datagrams.remote.port), (3, 53));
    }

    #[test]
    fn samples_of_what_was_there_before_and_of_modules_are_taken_too() {
        let Some(KernelEvent::Cgroup(cgroup)) = decode(&cgroup_record(4_242)) else {
            panic!("no cgroup");
        };
        assert_eq!(cgroup.id, 4_242);
        assert_eq!(cgroup.path, b"/system.slice/backup.service");
        assert_eq!(module(&module_record()).as_deref(), Some("sctp"));
        let [KernelEvent::OpenConnection(open)] =
            &open_sockets(&open_record(7, 9, ADDRESS, 443))[..]
        else {
            panic!("no open connection");
        };
        assert!(open.is_established && open.connect.was_open);
        let [KernelEvent::Carried(carried)] =
            &carried_bytes(&carried_record(7, 9, ADDRESS, 443))[..]
        else {
            panic!("nothing carried");
        };
        assert_eq!(carried.id, open.connect.id);
        let announced = connection_entry(7, 9, ADDRESS, 443);
        assert_eq!(unannounced(&9_u64.to_ne_bytes(), &announced), None);
    }

    #[test]
    fn samples_of_packets_with_names_are_taken_and_what_is_missing_of_them_is_told() {
        let record = payload_record(7, 9, 1, true, b"a message");
        let Some(KernelEvent::Payload(payload)) = decode(&record) else {
            panic!("no payload");
        };
        assert_eq!(payload.kind, PayloadKind::Dns);
        assert_eq!(payload.bytes, b"a message");
        assert_eq!((payload.process.pid, payload.socket), (7, 9));
        assert!(payload.is_received && !payload.is_cut);
        // What the ring gave more room for than there are bytes.
        let padded = [record.as_slice(), &[0xff; 100]].concat();
        assert_eq!(decode(&padded), Some(KernelEvent::Payload(payload)));
        // Fewer bytes than it says, and a packet of no kind.
        assert_eq!(decode(&record[..record.len() - 1]), None);
        assert_eq!(decode(&payload_record(7, 9, 9, true, b"a message")), None);
    }
}
