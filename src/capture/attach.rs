//! Turns a backend on: whether it can be used is found out by trying, never by kernel version.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    sync::Mutex,
};

use libbpf_rs::{
    Link, OpenObject, PrintLevel, ProgramMut, ProgramType,
    btf::{Btf, types::Typedef},
    set_print,
    skel::{OpenSkel, SkelBuilder},
};

use super::{
    Backend, CaptureError, Settings,
    backend::{CONNECTIONS, Hook, NO_RESULTS, Need, OPEN_SOCKETS, TRACEPOINT, blind_spot},
    error::NO_TABLE,
    hooker::Hooker,
    limits,
    open::Iterators,
    programs::program_named,
    requirements,
    skeleton::{EgressSkel, EgressSkelBuilder, OpenEgressSkel},
    surroundings,
};
use crate::model::{BackendFailure, BlindSpot};

/// A backend that is on. Dropping it takes all hooks away.
pub(super) struct Attached {
    // Before the programs that it may hold: fields are dropped in this order.
    pub(super) hooker: Option<Hooker>,
    /// Hooks of modules that are there and could not be attached.
    missing: Vec<Hook>,
    links: BTreeMap<&'static str, Link>,
    pub(super) iterators: Iterators,
    pub(super) skeleton: EgressSkel<'static>,
    pub(super) backend: Backend,
    pub(super) failures: Vec<BackendFailure>,
    pub(super) blind_spots: Vec<BlindSpot>,
    pub(super) kernel_bytes: u64,
    // The hooks of the cgroup backend are tied to it.
    _cgroup: Option<OwnedFd>,
}

/// What libbpf had to say since the last look: it knows more than the errno that it returns.
static COMPLAINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn hear(_level: PrintLevel, text: String) {
    if let Ok(mut complaints) = COMPLAINTS.lock() {
        complaints.push(text.trim_end().to_owned());
    }
}

fn last_complaint() -> Option<String> {
    let complaints = std::mem::take(&mut *COMPLAINTS.lock().ok()?);
    if let Some(verdict) = complaints.iter().find_map(|text| verifiers_verdict(text)) {
        return Some(verdict);
    }
    // What follows only says that nothing could be loaded.
    let is_about_table = |text: &&String| text.contains(NO_TABLE);
    let last = complaints
        .iter()
        .find(is_about_table)
        .or_else(|| complaints.iter().rev().find(|text| text.contains("failed")))?;
    Some(last.trim_start_matches("libbpf: ").to_owned())
}

/// The program and the last thing that the kernel's verifier said of it, which is why it refused.
fn verifiers_verdict(complaint: &str) -> Option<String> {
    let (head, log) = complaint.split_once("-- BEGIN PROG LOAD LOG --")?;
    let program = head.split('\'').nth(1)?;
    let verdict = log
        .lines()
        .filter(|line| !line.starts_with("processed ") && !line.starts_with("-- END"))
        .rfind(|line| !line.trim().is_empty())?;
    Some(format!("program `{program}`: {}", verdict.trim()))
}

/// Loads and attaches the backend that is asked for, or the first that works.
pub(super) fn start(settings: &Settings) -> Result<Attached, CaptureError> {
    requirements::check()?;
    set_print(Some((PrintLevel::Warn, hear)));
    let mut failures = Vec::new();
    for backend in Backend::BY_PREFERENCE {
        if settings.backend.is_some_and(|wanted| wanted != backend) {
            continue;
        }
        let attempt = turn_on(backend, settings, backend.trampolines()).or_else(|reason| {
            // A kernel without trampolines refuses these, and with one of them the whole object.
            if backend.trampolines().is_empty() {
                return Err(reason);
            }
            let mut attached = turn_on(backend, settings, backend.instead_of_trampolines())?;
            failures.push(BackendFailure {
                backend: format!("{} with trampolines", backend.name()),
                reason,
            });
            attached
                .blind_spots
                .push(blind_spot(NO_RESULTS.0, NO_RESULTS.1));
            Ok(attached)
        });
        match attempt {
            Ok(attached) => {
                return Ok(Attached {
                    failures,
                    ..attached
                });
            }
            Err(reason) => {
                failures.push(BackendFailure {
                    backend: backend.name().to_owned(),
                    reason,
                });
            }
        }
    }
    Err(CaptureError::NoBackend(failures))
}

fn turn_on(
    backend: Backend,
    settings: &Settings,
    further_hooks: &[Hook],
) -> Result<Attached, String> {
    let cgroup = match backend {
        Backend::Kprobe | Backend::Fexit => None,
        Backend::Cgroup => Some(open_cgroup_root()?),
    };
    // libbpf-rs wants the object to stay in its place while anything borrows from it, which is as
    // long as the process lives: there is one for each backend that is tried.
    let storage: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut open = EgressSkelBuilder::default()
        .open(storage)
        .map_err(|error| reason("open the BPF object", &error))?;
    configure(&mut open, backend, settings).map_err(|error| reason("set the limits", &error))?;
    let kernel_bytes = limits::kernel_bytes(&open);
    let mut blind_spots = backend.blind_spots();
    let mut hooks = available(&backend.hooks(), &mut blind_spots);
    hooks.extend_from_slice(further_hooks);
    for mut program in open.open_object_mut().progs_mut() {
        let is_wanted = hooks
            .iter()
            .map(|hook| hook.program)
            .chain([OPEN_SOCKETS, CONNECTIONS])
            .any(|wanted| program.name() == OsStr::new(wanted));
        program.set_autoload(is_wanted);
    }
    let skeleton = open.load().map_err(|error| load_failure(backend, &error))?;
    let mut links = BTreeMap::new();
    for hook in &hooks {
        match attach(&skeleton, hook, cgroup.as_ref()) {
            Ok(link) => drop(links.insert(hook.program, link)),
            Err(error) => match lost_without(hook) {
                Ok(lost) => blind_spots.extend(lost.filter(|spot| !blind_spots.contains(spot))),
                Err(()) => return Err(attach_failure(hook, &error)),
            },
        }
    }
    // What was said of functions that are not there.
    drop(last_complaint());
    let iterators =
        Iterators::attach(&skeleton).map_err(|error| reason("attach the iterators", &error))?;
    Ok(Attached {
        hooker: None,
        missing: Vec::new(),
        links,
        iterators,
        skeleton,
        backend,
        failures: Vec::new(),
        blind_spots,
        kernel_bytes,
        _cgroup: cgroup,
    })
}

fn open_cgroup_root() -> Result<OwnedFd, String> {
    let root = requirements::cgroup_root()
        .ok_or("cgroup v2 is not mounted (`mount -t cgroup2 none /sys/fs/cgroup`)")?;
    let directory =
        File::open(&root).map_err(|error| format!("open `{}`: {error}", root.display()))?;
    Ok(directory.into())
}

fn configure(
    open: &mut OpenEgressSkel<'_>,
    backend: Backend,
    settings: &Settings,
) -> Result<(), libbpf_rs::Error> {
    if let Some(rodata) = open.maps.rodata_data.as_deref_mut() {
        rodata.has_connect_result = u8::from(backend != Backend::Cgroup);
        rodata.include_loopback = u8::from(settings.include_loopback);
    }
    limits::set(open, &settings.limits)
}

/// What is not seen without a hook that cannot be attached; an error if that is everything.
fn lost_without(hook: &Hook) -> Result<Option<BlindSpot>, ()> {
    match hook.need {
        Need::All => Err(()),
        Need::OneKind(code, text) => Ok(Some(blind_spot(code, text))),
        Need::Module(module, (code, text)) => Ok(is_loaded(module).then(|| blind_spot(code, text))),
        Need::Nothing => Ok(None),
    }
}

/// Whether a module is there, loaded or built in.
fn is_loaded(module: &str) -> bool {
    Path::new("/sys/module").join(module).exists()
}

impl Attached {
    /// Puts hooks into a module that was just loaded; false if there are none for it. Those of an
    /// earlier load of it went away with it.
    pub(super) fn hook_into(&mut self, module: &str) -> bool {
        let hooks = self.hooks_of_modules(|name| name == module);
        for hook in &hooks {
            drop(self.links.remove(hook.program));
        }
        self.attach_all(&hooks);
        !hooks.is_empty()
    }

    /// Looks for modules that are there and have no hooks: news of them may have been lost.
    pub(super) fn look_for_modules(&mut self) {
        let mut missing = self.hooks_of_modules(is_loaded);
        missing.retain(|hook| !self.links.contains_key(hook.program));
        self.attach_all(&missing);
    }

    /// Tries again to attach what could not be; false if something still cannot.
    pub(super) fn retry_hooks(&mut self) -> bool {
        let mut missing = std::mem::take(&mut self.missing);
        missing.retain(|hook| matches!(hook.need, Need::Module(module, _) if is_loaded(module)));
        self.attach_all(&missing);
        self.missing.is_empty()
    }

    pub(super) fn hooks_of_modules(&self, is_meant: impl Fn(&str) -> bool) -> Vec<Hook> {
        let hooks = self.backend.hooks().into_iter();
        hooks
            .filter(|hook| matches!(hook.need, Need::Module(module, _) if is_meant(module)))
            .collect()
    }

    fn attach_all(&mut self, hooks: &[Hook]) {
        for hook in hooks {
            let program = program_named(&self.skeleton, hook.program).ok();
            let link = match (&self.hooker, program) {
                (Some(hooker), Some(program)) => hooker.attach(&program),
                _ => None,
            };
            match link {
                Some(link) => drop(self.links.insert(hook.program, link)),
                None => self.missing.push(*hook),
            }
        }
        drop(last_complaint());
    }
}

/// The hooks that this kernel has something for: a program for a tracepoint that is not there would
/// keep the whole object from loading.
fn available(hooks: &[Hook], blind_spots: &mut Vec<BlindSpot>) -> Vec<Hook> {
    let btf = Btf::from_vmlinux().ok();
    let is_there = |hook: &Hook| match hook.program.strip_prefix(TRACEPOINT) {
        // One that nothing works without is tried, so that the kernel says what is wrong.
        Some(_) if hook.need == Need::All => true,
        Some(tracepoint) => btf.as_ref().is_some_and(|btf| {
            btf.type_by_name::<Typedef<'_>>(&format!("btf_trace_{tracepoint}"))
                .is_some()
        }),
        None => true,
    };
    let (available, missing): (Vec<Hook>, Vec<Hook>) =
        hooks.iter().copied().partition(|hook| is_there(hook));
    for hook in missing {
        blind_spots.extend(lost_without(&hook).ok().flatten());
    }
    available
}

fn attach(
    skeleton: &EgressSkel<'_>,
    hook: &Hook,
    cgroup: Option<&OwnedFd>,
) -> Result<Link, libbpf_rs::Error> {
    let program = program_named(skeleton, hook.program)?;
    match cgroup {
        Some(cgroup) if is_cgroup_program(&program) => program.attach_cgroup(cgroup.as_raw_fd()),
        _ => program.attach(),
    }
}

fn is_cgroup_program(program: &ProgramMut<'_>) -> bool {
    matches!(
        program.prog_type(),
        ProgramType::CgroupSockAddr | ProgramType::CgroupSkb | ProgramType::CgroupSock
    )
}

fn load_failure(backend: Backend, error: &libbpf_rs::Error) -> String {
    let complaint = last_complaint();
    let is_verdict = complaint
        .as_ref()
        .is_some_and(|text| text.starts_with("program `"));
    // Without a verdict of the verifier it is the kernel that will have none of them.
    if error.kind() == libbpf_rs::ErrorKind::PermissionDenied && !is_verdict {
        if surroundings::inner_namespaces().contains(&"user") {
            return "capabilities of a user namespace do not load BPF programs".to_owned();
        }
        if backend == Backend::Fexit {
            return "this kernel refuses trampolines (fentry, fexit)".to_owned();
        }
    }
    reason_with("load the BPF programs", error, complaint)
}

fn attach_failure(hook: &Hook, error: &libbpf_rs::Error) -> String {
    // Backend `fexit` has some as well.
    let is_probe = hook.program.contains("probe_");
    if is_probe && !requirements::has_kprobes() {
        drop(last_complaint());
        return "this kernel has no kprobes (CONFIG_KPROBE_EVENTS is off)".to_owned();
    }
    if is_probe && requirements::is_paranoid_about_probes() {
        drop(last_complaint());
        return "this kernel lets only CAP_SYS_ADMIN attach kprobes \
                (kernel.perf_event_paranoid is above 2)"
            .to_owned();
    }
    reason(&format!("attach `{}`", hook.program), error)
}

fn reason(what: &str, error: &libbpf_rs::Error) -> String {
    reason_with(what, error, last_complaint())
}

fn reason_with(what: &str, error: &libbpf_rs::Error, complaint: Option<String>) -> String {
    match complaint {
        Some(complaint) => format!("{what}: {error:#} ({complaint})"),
        None => format!("{what}: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, mem::MaybeUninit};

    use libbpf_rs::{
        OpenObject,
        skel::{OpenSkel, SkelBuilder},
    };

    use super::{Backend, CONNECTIONS, EgressSkelBuilder, OPEN_SOCKETS};

    #[test]
    fn every_program_belongs_to_a_backend_and_every_hook_has_a_program() {
        let mut storage = MaybeUninit::<OpenObject>::uninit();
        let open = EgressSkelBuilder::default().open(&mut storage).unwrap();
        let programs: BTreeSet<_> = open
            .open_object()
            .progs()
            .map(|program| program.name().to_str().unwrap().to_owned())
            .collect();
        let hooks: BTreeSet<_> = Backend::BY_PREFERENCE
            .into_iter()
            .flat_map(|backend| {
                [
                    backend.hooks().as_slice(),
                    backend.trampolines(),
                    backend.instead_of_trampolines(),
                ]
                .concat()
            })
            .map(|hook| hook.program)
            .chain([OPEN_SOCKETS, CONNECTIONS])
            .map(str::to_owned)
            .collect();
        assert_eq!(programs, hooks);
    }
}
