//! Attaches programs after the start, on a thread that keeps the privileges which that takes.
//!
//! The thread that reads what strangers wrote gives them up; kernels of Debian let nobody put a probe
//! anywhere who lacks them. This one reads nothing but which program to attach.

#![expect(unsafe_code, reason = "a program of libbpf is lent to another thread")]

use std::{
    io,
    ptr::NonNull,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

use libbpf_rs::{AsRawLibbpf, Link, ProgramMut};
use rustix::{
    io::Errno,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

struct Lent(NonNull<libbpf_sys::bpf_program>);

// SAFETY: libbpf ties a program to no thread, and the lender waits until it has it back.
unsafe impl Send for Lent {}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Hooker {
    programs: Option<Sender<Lent>>,
    links: Receiver<Option<Link>>,
    thread: Option<JoinHandle<()>>,
}

impl Hooker {
    /// Starts it with the privileges of the caller.
    pub(super) fn start() -> io::Result<Self> {
        let (programs, lent) = channel();
        let (attached, links) = channel();
        let thread = thread::Builder::new()
            .name("hooks".to_owned())
            .spawn(move || attach_each(&lent, &attached))?;
        Ok(Self {
            programs: Some(programs),
            links,
            thread: Some(thread),
        })
    }

    /// Attaches a program to what its section names.
    pub(super) fn attach(&self, program: &ProgramMut<'_>) -> Option<Link> {
        let lent = Lent(program.as_libbpf_object());
        self.programs.as_ref()?.send(lent).ok()?;
        self.links.recv().ok()?
    }
}

/// What attaching takes: kernels of Debian want SYS_ADMIN for a probe.
const KEPT: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN);

fn confine() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    let kept = capabilities(None)?.permitted & KEPT;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)
}

fn attach_each(lent: &Receiver<Lent>, attached: &Sender<Option<Link>>) {
    // Where it cannot be confined, nothing is attached, and that is counted.
    if confine().is_err() {
        return;
    }
    while let Ok(program) = lent.recv() {
        // SAFETY: the program is alive, since its owner waits for the answer, and nobody else uses
        // it meanwhile.
        let link = unsafe { libbpf_sys::bpf_program__attach(program.0.as_ptr()) };
        // SAFETY: libbpf gives a link that belongs to the caller, or none.
        let link = NonNull::new(link).map(|link| unsafe { Link::from_ptr(link) });
        if attached.send(link).is_err() {
            return;
        }
    }
}

impl Drop for Hooker {
    fn drop(&mut self) {
        drop(self.programs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there is over, and nobody is left to be told.
            drop(thread.join());
        }
    }
}
