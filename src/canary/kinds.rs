//! Every kind of flow.

use std::sync::LazyLock;

use super::{icmp, kind::Kind, local, other, packet, raw, ring, tcp, udp, udp_paths};

/// Ports are dealt out from here, one to each kind, so that no two kinds can be confused.
const FIRST_PORT: u16 = 21_000;

/// All kinds, in a stable order.
pub fn kinds() -> &'static [Kind] {
    static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
        [
            tcp::kinds(),
            udp::kinds(),
            udp_paths::kinds(),
            ring::kinds(),
            icmp::kinds(),
            raw::kinds(),
            packet::kinds(),
            other::kinds(),
            local::kinds(),
        ]
        .concat()
        .into_iter()
        .zip(FIRST_PORT..)
        .map(|(kind, port)| kind.at_port(port))
        .collect()
    });
    &KINDS
}

/// The kind of that name.
pub fn kind_named(name: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Kind, kinds};
    use crate::canary::Scope;

    #[test]
    fn names_and_ports_are_unique() {
        let names: BTreeSet<_> = kinds().iter().map(|kind| kind.name).collect();
        let ports: BTreeSet<_> = kinds().iter().map(Kind::port).collect();
        assert_eq!(names.len(), kinds().len());
        assert_eq!(ports.len(), kinds().len());
    }

    #[test]
    fn only_what_is_no_flow_expects_nothing() {
        for kind in kinds() {
            assert_eq!(
                kind.expected().is_none(),
                kind.scope == Scope::NoFlow,
                "{}",
                kind.name
            );
        }
    }
}
