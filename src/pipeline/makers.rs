//! Who made a flow: process images and cgroups that the kernel reported, as identities.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;

use super::{ProcessFacts, Scope};
use crate::{
    identity::{application_of, is_interpreter, job_daemon_of, redact_argv, run_of, slice_uid_of},
    model::{
        Ancestor, Application, BootClock, CgroupSeen, ContainerFacts, Executable, IdentityRecord,
        Process, ProcessImage, ProcessKey, Protocol, RawIdentity, Sender, text_of_bytes,
    },
};

/// Process images that are kept; those that were at rest for longest are forgotten first.
const MOST_PROCESSES: usize = 65_536;

/// Cgroups that are kept. A host has thousands at most; those of finished services are let go.
const MOST_CGROUPS: usize = 65_536;

/// Applications that are numbered, so that their new contacts are told from old ones; those beyond
/// share a number.
const MOST_APPLICATIONS: usize = 65_536;

#[derive(Debug)]
struct Known {
    process: Arc<Process>,
    used: u64,
}

/// What may differ between flows of one process image: uid, cgroup; of the kernel: protocol.
type Variant = (u32, u64, Option<u8>);

/// A process has one, and a few more if it changes its user or is moved; the list is searched.
const MOST_VARIANTS: usize = 64;

/// The maker of a flow.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) process: Option<Arc<Process>>,
    pub(super) identity: Arc<IdentityRecord>,
    /// Number of its application.
    pub(super) application: u32,
    /// It was a process, but which one is not known.
    pub(super) is_unknown: bool,
}

/// An identity with the number of its application.
#[derive(Clone, Debug)]
struct Identified {
    identity: Arc<IdentityRecord>,
    application: u32,
}

/// A cgroup, and what is known of the container that it belongs to.
#[derive(Debug)]
struct Cgroup {
    path: String,
    container: Option<ContainerFacts>,
}

/// Everything known of those who make flows.
#[derive(Debug)]
pub(super) struct Makers {
    scope: Scope,
    accounts: BTreeMap<u32, String>,
    processes: HashMap<ProcessKey, Known, RandomState>,
    cgroups: HashMap<u64, Cgroup, RandomState>,
    identities: HashMap<ProcessKey, Vec<(Variant, Identified)>, RandomState>,
    /// Identities that processes share, each once.
    shared: HashMap<Arc<IdentityRecord>, u32, RandomState>,
    applications: HashMap<Application, u32, RandomState>,
    forgotten: Vec<ProcessKey>,
    flushes: u64,
}

impl Makers {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            accounts: BTreeMap::new(),
            processes: HashMap::default(),
            cgroups: HashMap::default(),
            identities: HashMap::default(),
            shared: HashMap::default(),
            applications: HashMap::default(),
            forgotten: Vec::new(),
            flushes: 0,
        }
    }

    pub(super) fn set_accounts(&mut self, accounts: BTreeMap<u32, String>) {
        if self.accounts != accounts {
            self.accounts = accounts;
            self.forget_identities();
        }
    }

    pub(super) fn learn_cgroup(&mut self, cgroup: CgroupSeen) {
        if self.cgroups.len() >= MOST_CGROUPS {
            self.cgroups.clear();
        }
        let path = text_of_bytes(&cgroup.path);
        // One that is told again is the same, unless its number was another's before.
        let container = self
            .cgroups
            .remove(&cgroup.id)
            .filter(|known| known.path == path)
            .and_then(|known| known.container);
        self.cgroups.insert(cgroup.id, Cgroup { path, container });
    }

    pub(super) fn learn_container(&mut self, cgroup_id: u64, facts: ContainerFacts) {
        if let Some(cgroup) = self.cgroups.get_mut(&cgroup_id) {
            cgroup.container = Some(facts);
            self.forget_identities();
        }
    }

    pub(super) fn cgroup_path(&self, id: u64) -> Option<String> {
        self.cgroups.get(&id).map(|cgroup| cgroup.path.clone())
    }

    pub(super) fn learn_process(
        &mut self,
        image: ProcessImage,
        clock: BootClock,
        facts: ProcessFacts,
    ) {
        let key = image.key;
        let process = Arc::new(self.process_of(image, clock, facts));
        let known = Known {
            process,
            used: self.flushes,
        };
        self.processes.insert(key, known);
        self.identities.remove(&key);
    }

    fn forget_identities(&mut self) {
        self.identities.clear();
        self.shared.clear();
    }

    fn process_of(&self, image: ProcessImage, clock: BootClock, facts: ProcessFacts) -> Process {
        let executable = executable_of(&image, facts);
        let nobody = |id: u32| (id != u32::MAX).then_some(id);
        let words: Vec<_> = image.argv.iter().map(|word| text_of_bytes(word)).collect();
        let words = if self.scope.full_command_lines {
            words
        } else {
            redact_argv(&words)
        };
        let has_arguments = !words.is_empty() && !image.flags.argv_unreadable;
        Process {
            host: self.scope.host.clone(),
            key: Some(image.key),
            boot_id: self.scope.boot_id.clone(),
            pid: Some(image.key.pid),
            ppid: Some(image.ppid),
            started: Some(clock.at(image.key.started_boot_ns)),
            exe: executable,
            comm: Some(text_of_bytes(&image.comm)),
            cmdline: has_arguments
                .then(|| shlex::try_join(words.iter().map(String::as_str)).ok())
                .flatten(),
            argv: has_arguments.then_some(words),
            argv_truncated: image.flags.argv_truncated,
            working_directory: (!image.directory.is_empty())
                .then(|| text_of_bytes(&image.directory)),
            ancestors: image.ancestors,
            uid: Some(image.uid),
            euid: Some(image.euid),
            login_uid: nobody(image.login_uid),
            audit_session: nobody(image.audit_session),
            tty: (!image.tty.is_empty()).then(|| text_of_bytes(&image.tty)),
            cgroup_id: Some(image.cgroup_id),
            cgroup_path: self.cgroup_path(image.cgroup_id),
            namespaces: Some(image.namespaces),
        }
    }

    /// Who the sender is.
    pub(super) fn maker_of(&mut self, sender: &Sender, protocol: Option<u8>) -> Maker {
        let is_kernel = sender.process.pid == 0;
        let known = self.processes.get_mut(&sender.process);
        let process = known.map(|known| {
            known.used = self.flushes;
            Arc::clone(&known.process)
        });
        let is_unknown = process.is_none() && !is_kernel;
        let variant = (sender.uid, sender.cgroup_id, protocol.filter(|_| is_kernel));
        let variants = self.identities.get(&sender.process);
        let known = variants
            .and_then(|variants| variants.iter().find(|(of, _)| *of == variant))
            .map(|(_, identified)| identified.clone());
        let Identified {
            identity,
            application,
        } = known.unwrap_or_else(|| {
            let identity = self.identity_of(sender, protocol, process.as_deref());
            let identified = self.identified(identity);
            if !is_unknown {
                let variants = self.identities.entry(sender.process).or_default();
                if variants.len() >= MOST_VARIANTS {
                    variants.clear();
                }
                variants.push((variant, identified.clone()));
            }
            identified
        });
        Maker {
            process,
            identity,
            application,
            is_unknown,
        }
    }

    /// Processes that are alike share one identity.
    fn identified(&mut self, identity: IdentityRecord) -> Identified {
        if let Some((identity, application)) = self.shared.get_key_value(&identity) {
            return Identified {
                identity: Arc::clone(identity),
                application: *application,
            };
        }
        if self.shared.len() >= MOST_PROCESSES {
            self.shared.clear();
        }
        let next = u32::try_from(self.applications.len()).unwrap_or(u32::MAX);
        let application = match self.applications.get(&identity.application) {
            Some(number) => *number,
            None if self.applications.len() >= MOST_APPLICATIONS => u32::MAX,
            None => {
                self.applications.insert(identity.application.clone(), next);
                next
            }
        };
        let identity = Arc::new(identity);
        self.shared.insert(Arc::clone(&identity), application);
        Identified {
            identity,
            application,
        }
    }

    fn identity_of(
        &self,
        sender: &Sender,
        protocol: Option<u8>,
        process: Option<&Process>,
    ) -> IdentityRecord {
        let mut raw = RawIdentity {
            host: self.scope.host.clone(),
            ..RawIdentity::default()
        };
        if sender.process.pid == 0 {
            let protocol = match Protocol(protocol) {
                // One name for both: what the kernel does with them is the same.
                Protocol::ICMPV6 => Protocol::ICMP,
                other => other,
            };
            raw.exe = Some(format!("kernel:{}", protocol.word(None)));
        } else {
            raw.uid = Some(sender.uid);
            raw.user = self.accounts.get(&sender.uid).cloned();
            let cgroup = self.cgroups.get(&sender.cgroup_id);
            raw.cgroup_path = cgroup.map(|cgroup| cgroup.path.clone());
            raw.container = cgroup.and_then(|cgroup| cgroup.container.clone());
            raw.slice_user = raw
                .cgroup_path
                .as_deref()
                .and_then(slice_uid_of)
                .and_then(|uid| self.accounts.get(&uid).cloned());
        }
        if let Some(process) = process {
            raw.login_user = process.login_uid.map(|uid| {
                let name = self.accounts.get(&uid).cloned();
                name.unwrap_or_else(|| uid.to_string())
            });
            raw.job_daemon = job_daemon_of(&process.ancestors).map(str::to_owned);
        }
        if let Some(exe) = process.and_then(|process| process.exe.as_ref()) {
            raw.exe = Some(exe.path.clone());
            raw.is_deleted = exe.is_deleted;
            raw.is_memfd = exe.is_memfd;
            raw.is_foreign = exe.is_foreign;
        }
        if let Some(process) = process
            && raw.exe.as_deref().is_some_and(is_interpreter)
        {
            raw.interpreter_argv.clone_from(&process.argv);
            raw.interpreter_directory
                .clone_from(&process.working_directory);
        }
        let application = application_of(&raw);
        let run = run_of(
            &application.context,
            Some(sender.cgroup_id),
            self.scope.boot_id.as_deref(),
            process.and_then(|process| process.key),
            process.map_or::<&[Ancestor], _>(&[], |process| &process.ancestors),
        );
        IdentityRecord {
            raw,
            application,
            run,
        }
    }

    pub(super) fn forgotten(&mut self) -> Vec<ProcessKey> {
        std::mem::take(&mut self.forgotten)
    }

    /// A flush is over: forgets what was at rest for longest, if there is too much.
    pub(super) fn rest(&mut self) {
        self.flushes += 1;
        if self.processes.len() <= MOST_PROCESSES {
            return;
        }
        let mut ages: Vec<_> = self
            .processes
            .iter()
            .map(|(key, known)| (known.used, *key))
            .collect();
        ages.sort_unstable();
        // A quarter at once, so that this is not done at each flush.
        for (_, key) in ages.into_iter().take(MOST_PROCESSES / 4) {
            self.processes.remove(&key);
            self.forgotten.push(key);
        }
        self.forget_identities();
    }
}

/// `kworker/u4:2` → `kernel:kworker`: numbers of workers are no identity.
fn kernel_thread_name(comm: &[u8]) -> String {
    let text = text_of_bytes(comm);
    let name = text.split('/').next().unwrap_or_default();
    format!(
        "kernel:{}",
        name.trim_end_matches(|character: char| character.is_ascii_digit())
    )
}

fn executable_of(image: &ProcessImage, facts: ProcessFacts) -> Option<Executable> {
    if image.flags.kernel_thread {
        let path = kernel_thread_name(&image.comm);
        return Some(Executable {
            path,
            ..Executable::default()
        });
    }
    if image.exe.is_empty() {
        return None;
    }
    Some(Executable {
        path: text_of_bytes(&image.exe),
        device: Some(image.exe_device),
        inode: Some(image.exe_inode),
        is_deleted: image.flags.exe_deleted && !image.flags.exe_pseudo,
        is_memfd: image.flags.exe_pseudo,
        is_truncated: image.flags.exe_truncated,
        is_foreign: facts.is_foreign,
    })
}
