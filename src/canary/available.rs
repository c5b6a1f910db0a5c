//! Kinds that would change the kernel by being made: asking for a protocol loads its module.

use std::{fs, path::Path};

use super::kind::{Group, Kind};

/// What is not loaded and would be if the kind were made; `None` if nothing would.
///
/// Rare protocols are a favourite of those who look for holes in the kernel: who only wants to know
/// what is seen must not open them up.
pub fn lacking_module(kind: &Kind) -> Option<&'static str> {
    let protocol = |name: &'static str| (!is_registered(name)).then_some(name);
    match kind.group {
        Group::Sctp => protocol("SCTP"),
        Group::Dccp => protocol("DCCP"),
        Group::L2tp => protocol("L2TP/IP"),
        Group::Firewall => (!Path::new("/sys/module/nf_tables").exists()).then_some("nf_tables"),
        Group::Tcp
        | Group::Mptcp
        | Group::IoUring
        | Group::Udp
        | Group::UdpLite
        | Group::Ping
        | Group::Raw
        | Group::Packet => None,
    }
}

fn is_registered(protocol: &str) -> bool {
    fs::read_to_string("/proc/net/protocols").is_ok_and(|text| is_listed(&text, protocol))
}

/// `/proc/net/protocols` has a line for each protocol that is loaded; the name comes first.
fn is_listed(text: &str, protocol: &str) -> bool {
    text.lines()
        .any(|line| line.split_whitespace().next() == Some(protocol))
}

#[cfg(test)]
mod tests {
    use super::is_listed;

    #[test]
    fn a_protocol_is_loaded_if_its_name_opens_a_line() {
        let text =
            "protocol  size sockets  memory\nDCCPv6    1  2\nMPTCP     1824      0       0\n";
        assert!(is_listed(text, "MPTCP"));
        assert!(!is_listed(text, "DCCP"));
        assert!(!is_listed("", "SCTP"));
    }
}
