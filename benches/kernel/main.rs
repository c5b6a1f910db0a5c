//! Counts instructions of socket calls, without and with something that watches them.
//!
//! It is meant for the emulated machine that `benches/kernel/run` starts, where one nanosecond
//! passes for each instruction. It sends only inside two network namespaces that it proves to be
//! isolated, and so refuses to run where they are not.

mod arms;
mod calls;
mod clocks;
mod programs;
mod table;

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Context, anyhow};
use clap::Parser;
use egress_baseline::canary::Isolation;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use self::{
    arms::{Arm, measure},
    calls::Far,
};

#[derive(Debug, Parser)]
struct Args {
    /// The network namespace of the caller
    #[arg(long, value_name = "PATH")]
    here: PathBuf,
    /// The network namespace of the other end
    #[arg(long, value_name = "PATH")]
    there: PathBuf,
    /// The program that turns a watcher on and off: PROGRAM NAME start|stop
    #[arg(long, value_name = "PROGRAM")]
    arm: PathBuf,
    /// Rounds, of which the first does not count
    #[arg(long, value_name = "NUMBER", default_value_t = 6)]
    rounds: usize,
    /// Tell afterwards what each BPF program takes
    #[arg(long)]
    profile: bool,
    /// Watchers that are compared with none
    arms: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(if told.is_ok() { 2 } else { 3 })
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    clocks::prove_that_they_count()?;
    let far = inside(&args.there, |_| Far::open())?;
    inside(&args.here, |isolation| {
        let mut arms = vec![Arm::nothing()];
        for name in &args.arms {
            arms.push(Arm::new(&args.arm, name));
        }
        let rounds = measure(isolation, &far, &arms, args.rounds)?;
        table::print(&mut io::stdout(), &arms, &rounds)?;
        if args.profile {
            programs::print(isolation, &far, &arms, &mut io::stdout())?;
        }
        Ok(())
    })
}

/// Runs `work` on a thread in a network namespace that is proved to lead nowhere.
fn inside<T: Send>(
    namespace: &Path,
    work: impl FnOnce(&Isolation) -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let on_thread = || {
        let file =
            File::open(namespace).with_context(|| format!("open `{}`", namespace.display()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("enter `{}`", namespace.display()))?;
        work(&Isolation::prove()?)
    };
    thread::scope(|scope| scope.spawn(on_thread).join())
        .unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
}
