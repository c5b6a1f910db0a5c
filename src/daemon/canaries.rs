//! Canary flows among those that were recorded: they are made to be seen, not to be learned.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::{
    identity::facts::network_namespace_of,
    model::{Batch, Flow, FlowRecord, Process, Timestamp},
    proof::Program,
};

/// What the kernel still sends in a canary's namespace so long after the last canary belongs to them:
/// answers to pings, errors, the ends of connections. Afterwards the namespace's number may be
/// another's.
const AFTERMATH: Duration = Duration::from_secs(10);

/// What this program's canaries are known by.
///
/// The program never sends anything itself, so what root, or the observer's own user, runs of it in
/// another network namespace is a canary, of this observer's self-check or of a `doctor` beside it.
/// Who could imitate that could stop the observer as well, and is in no container: the file must be
/// the host's own.
#[derive(Debug)]
pub(super) struct Canaries {
    exe: Option<String>,
    user: u32,
    network_namespace: Option<u32>,
    /// Network namespaces in which canaries were, and when the last was.
    places: BTreeMap<u32, Timestamp>,
}

impl Canaries {
    pub(super) fn of_this_program() -> Self {
        Self {
            exe: Program::own().ok().map(|program| program.exe()),
            user: rustix::process::getuid().as_raw(),
            network_namespace: network_namespace_of(Path::new("/"), std::process::id()),
            places: BTreeMap::new(),
        }
    }

    /// Takes the flows of canaries out of a batch, with what the kernel answered to them.
    pub(super) fn taken_out_of(&mut self, batch: &mut Batch) -> Vec<FlowRecord> {
        for record in &batch.flows {
            let is_canary = record
                .process
                .as_deref()
                .is_some_and(|process| self.is_canary(process));
            if let (true, Some(place)) = (is_canary, record.flow.network_namespace) {
                let last = self.places.entry(place).or_insert(record.flow.start);
                *last = record.flow.start.max(*last);
            }
        }
        let taken = batch
            .flows
            .extract_if(.., |record| match record.process.as_deref() {
                Some(process) => self.is_canary(process),
                None => self.is_answer(&record.flow),
            })
            .collect();
        self.places
            .retain(|_, last| batch.covered_until.since(*last) <= AFTERMATH);
        taken
    }

    fn is_answer(&self, flow: &Flow) -> bool {
        let last = flow
            .network_namespace
            .and_then(|place| self.places.get(&place));
        last.is_some_and(|last| flow.start.since(*last) <= AFTERMATH)
    }

    fn is_canary(&self, process: &Process) -> bool {
        let (Some(own_exe), Some(own_namespace), Some(exe), Some(namespaces)) = (
            &self.exe,
            self.network_namespace,
            &process.exe,
            process.namespaces,
        ) else {
            return false;
        };
        exe.path == *own_exe
            && !exe.is_foreign
            && !exe.is_memfd
            && !exe.is_truncated
            && process.uid.is_some_and(|uid| uid == 0 || uid == self.user)
            && namespaces.net != own_namespace
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::{AFTERMATH, Canaries};
    use crate::model::{
        Application, Batch, Context, Executable, Flow, FlowRecord, IdentityRecord, Namespaces,
        Outcome, Process, Protocol, RawIdentity, Timestamp,
    };

    const OWN: &str = "/usr/bin/egress-baseline";
    const HOST: u32 = 4_026_531_840;

    fn process(exe: &str, uid: u32, net: u32) -> Process {
        Process {
            exe: Some(Executable {
                path: exe.to_owned(),
                ..Executable::default()
            }),
            uid: Some(uid),
            namespaces: Some(Namespaces {
                net,
                ..Namespaces::default()
            }),
            ..Process::default()
        }
    }

    fn canaries() -> Canaries {
        Canaries {
            exe: Some(OWN.to_owned()),
            user: 990,
            network_namespace: Some(HOST),
            places: BTreeMap::new(),
        }
    }

    fn is_canary(process: &Process) -> bool {
        canaries().is_canary(process)
    }

    #[test]
    fn only_this_very_program_in_another_network_is_a_canary() {
        assert!(is_canary(&process(OWN, 0, 1)));
        assert!(is_canary(&process(OWN, 990, 1)));
        assert!(!is_canary(&process(OWN, 0, HOST)));
        assert!(!is_canary(&process(OWN, 1_000, 1)));
        assert!(!is_canary(&process("/usr/bin/curl", 0, 1)));
        let mut foreign = process(OWN, 0, 1);
        foreign.exe.as_mut().unwrap().is_foreign = true;
        assert!(!is_canary(&foreign));
    }

    fn flow(process: Option<Process>, network_namespace: u32, start: i64) -> FlowRecord {
        FlowRecord {
            flow: Flow {
                flow_id: None,
                start: Timestamp::from_unix_ns(start),
                end: None,
                socket_uid: None,
                socket_cgroup: None,
                network_namespace: Some(network_namespace),
                source_port: None,
                address: None,
                port: None,
                protocol: Protocol::ICMP,
                name: None,
                opening: None,
                outcome: Outcome::Sent,
                errno: None,
                state: None,
                attempts: 1,
                bytes_out: None,
                bytes_in: None,
                duration: None,
            },
            process: process.map(Arc::new),
            identity: Arc::new(IdentityRecord {
                raw: RawIdentity::default(),
                application: Application {
                    context: Context::none(),
                    program: String::new(),
                    script: None,
                },
                run: None,
            }),
            ticket: None,
            settles: None,
        }
    }

    #[test]
    fn canaries_and_what_the_kernel_answers_them_are_taken_out_and_nothing_else() {
        let start = 1_000_000_000_000;
        let later = start + i64::try_from(AFTERMATH.as_nanos()).unwrap() + 1;
        let mut batch = Batch {
            flows: vec![
                flow(None, 1, start),
                flow(Some(process(OWN, 0, 1)), 1, start),
                flow(Some(process("/bin/ping", 0, 1)), 1, start),
                flow(None, 2, start),
                flow(None, 1, later),
            ],
            covered_until: Timestamp::from_unix_ns(later),
            ..Batch::default()
        };
        let mut canaries = canaries();
        assert_eq!(canaries.taken_out_of(&mut batch).len(), 2);
        assert_eq!(batch.flows.len(), 3);
        let mut next = Batch {
            flows: vec![flow(None, 1, start)],
            ..Batch::default()
        };
        assert_eq!(canaries.taken_out_of(&mut next).len(), 0);
    }
}
