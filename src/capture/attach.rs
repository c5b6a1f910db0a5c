//! Turns a backend on: whether it can be used is found out by trying, never by kernel version.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use libbpf_rs::{
    Link, OpenObject, PrintLevel, ProgramMut, ProgramType,
    btf::{Btf, types::Typedef},
    set_print,
    skel::{OpenSkel, SkelBuilder},
};

use super::{
    Backend, CaptureError, Settings,
    backend::{
        CONNECTIONS, Hook, NAMES, NO_NAMES, NO_RESULTS, Need, OPEN_SOCKETS, TRACEPOINT, blind_spot,
    },
    complaint::{attach_failure, hear, last_complaint, load_failure, reason},
    hooker::Hooker,
    limits,
    open::Iterators,
    programs::program_named,
    requirements,
    skeleton::{EgressSkel, EgressSkelBuilder, OpenEgressSkel},
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

/// Loads and attaches the backend that is asked for, or the first that works.
pub(super) fn start(settings: &Settings) -> Result<Attached, CaptureError> {
    requirements::check()?;
    set_print(Some((PrintLevel::Warn, hear)));
    let mut failures = Vec::new();
    for backend in Backend::BY_PREFERENCE {
        if settings.backend.is_some_and(|wanted| wanted != backend) {
            continue;
        }
        match turn_on_best(backend, settings, &mut failures) {
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

/// Turns a backend on with as much as the kernel allows.
fn turn_on_best(
    backend: Backend,
    settings: &Settings,
    failures: &mut Vec<BackendFailure>,
) -> Result<Attached, String> {
    match turn_on_named(backend, settings, backend.trampolines(), failures) {
        // A kernel without trampolines refuses these, and with one of them the whole object.
        Err(reason) if !backend.trampolines().is_empty() => {
            let instead = backend.instead_of_trampolines();
            let mut attached = turn_on_named(backend, settings, instead, failures)?;
            failures.push(BackendFailure {
                backend: format!("{} with trampolines", backend.name()),
                reason,
            });
            attached
                .blind_spots
                .push(blind_spot(NO_RESULTS.0, NO_RESULTS.1));
            Ok(attached)
        }
        other => other,
    }
}

/// Turns a backend on with what reads names, or without it where the kernel refuses just that.
fn turn_on_named(
    backend: Backend,
    settings: &Settings,
    further_hooks: &[Hook],
    failures: &mut Vec<BackendFailure>,
) -> Result<Attached, String> {
    match turn_on(backend, settings, further_hooks) {
        Err(reason) if settings.names && is_about_names(&reason) => {
            let without = Settings {
                names: false,
                ..*settings
            };
            let attached = turn_on(backend, &without, further_hooks)?;
            failures.push(BackendFailure {
                backend: format!("{} with names", backend.name()),
                reason,
            });
            Ok(attached)
        }
        other => other,
    }
}

/// Whether a backend could not be turned on because of what reads names.
fn is_about_names(reason: &str) -> bool {
    NAMES
        .iter()
        .map(|hook| hook.program)
        .any(|name| reason.contains(name))
}

fn turn_on(
    backend: Backend,
    settings: &Settings,
    further_hooks: &[Hook],
) -> Result<Attached, String> {
    let cgroup = match backend {
        Backend::Kprobe | Backend::Fexit => open_cgroup_root().ok(),
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
    if settings.names {
        hooks.extend_from_slice(&NAMES);
    } else {
        blind_spots.push(blind_spot(NO_NAMES.0, NO_NAMES.1));
    }
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, mem::MaybeUninit};

    use libbpf_rs::{
        OpenObject,
        skel::{OpenSkel, SkelBuilder},
    };

    use super::{Backend, CONNECTIONS, EgressSkelBuilder, NAMES, OPEN_SOCKETS, is_about_names};

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
            .chain(NAMES)
            .map(|hook| hook.program)
            .chain([OPEN_SOCKETS, CONNECTIONS])
            .map(str::to_owned)
            .collect();
        assert_eq!(programs, hooks);
    }

    #[test]
    fn only_what_reads_names_is_left_out_for_its_own_failure() {
        let refused =
            "load the BPF programs: Invalid argument (program `names_egress`: R1 is no socket)";
        assert!(is_about_names(refused));
        for reason in [
            "load the BPF programs: Invalid argument (program `cgroup_skb_egress`: no)",
            "cgroup v2 is not mounted (`mount -t cgroup2 none /sys/fs/cgroup`)",
        ] {
            assert!(!is_about_names(reason), "{reason}");
        }
    }
}
