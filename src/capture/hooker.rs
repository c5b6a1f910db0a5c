//! Attaches programs after the start, on a thread that keeps the privileges which that takes.
//!
//! The thread that reads what strangers wrote gives them up. This one reads nothing but which program
//! to attach.

#![expect(unsafe_code, reason = "a program of libbpf is lent to another thread")]

use std::{
    io,
    ptr::NonNull,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

use libbpf_rs::{AsRawLibbpf, Link, ProgramMut};

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
    /// Starts it with the privileges of the caller; it first gives up those that it does not need.
    pub(super) fn start(confine: impl FnOnce() -> bool + Send + 'static) -> io::Result<Self> {
        let (programs, lent) = channel();
        let (attached, links) = channel();
        let thread = thread::Builder::new()
            .name("hooks".to_owned())
            .spawn(move || {
                // Where it cannot be confined, nothing is attached, and that is counted.
                if confine() {
                    attach_each(&lent, &attached);
                }
            })?;
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

fn attach_each(lent: &Receiver<Lent>, attached: &Sender<Option<Link>>) {
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
