//! Keeps kernel side and pipeline told of the addresses that each network namespace has itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::{
    capture::Capture,
    identity::facts::{network_namespaces, own_addresses},
    pipeline::Pipeline,
};

/// Addresses by network namespace, as they were told last.
#[derive(Debug)]
pub(super) struct Namespaces {
    root: PathBuf,
    known: BTreeMap<u32, BTreeSet<IpAddr>>,
}

impl Namespaces {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            known: BTreeMap::new(),
        }
    }

    /// Reads all namespaces that processes are in, and forgets those that are gone.
    pub(super) fn refresh(&mut self, capture: &Capture, pipeline: &mut Pipeline) {
        let present = network_namespaces(&self.root);
        for (namespace, pid) in &present {
            self.read(*namespace, *pid, capture, pipeline);
        }
        let gone: Vec<_> = self
            .known
            .keys()
            .filter(|known| !present.contains_key(known))
            .copied()
            .collect();
        for namespace in gone {
            if let Some(addresses) = self.known.remove(&namespace) {
                let removed: Vec<_> = addresses.into_iter().collect();
                capture.set_own_addresses(namespace, &[], &removed);
            }
        }
        let alive: HashSet<u32> = present.into_keys().collect();
        pipeline.keep_namespaces(&alive);
    }

    /// Reads the namespace of a process that was just seen, if it is new.
    pub(super) fn meet(
        &mut self,
        namespace: u32,
        pid: u32,
        capture: &Capture,
        pipeline: &mut Pipeline,
    ) {
        if !self.known.contains_key(&namespace) {
            self.read(namespace, pid, capture, pipeline);
        }
    }

    fn read(&mut self, namespace: u32, pid: u32, capture: &Capture, pipeline: &mut Pipeline) {
        // Gone in the meantime: then nobody is left in there to send.
        let Some(now) = own_addresses(&self.root, pid) else {
            return;
        };
        let before = self.known.get(&namespace).cloned().unwrap_or_default();
        if before == now && self.known.contains_key(&namespace) {
            return;
        }
        let added: Vec<_> = now.difference(&before).copied().collect();
        let removed: Vec<_> = before.difference(&now).copied().collect();
        // What does not fit into the kernel's table is sorted out by the pipeline.
        capture.set_own_addresses(namespace, &added, &removed);
        pipeline.set_own_addresses(namespace, now.iter().copied().collect());
        self.known.insert(namespace, now);
    }
}
