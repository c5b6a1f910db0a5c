//! What is compared, and the rounds in which all of it takes turns.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use egress_baseline::canary::Isolation;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{
    calls::{CALLS, Call, Far, LAP},
    clocks::{of_all_tasks, of_the_machine, of_this_thread},
};

/// Longer than the observer keeps flows before it writes them: what it does about a measurement is
/// done before the next one begins.
const SETTLE: Duration = Duration::from_secs(11);

/// Longer than the kernel remembers a closed connection, so that each arm finds the same tables.
const FORGET: Duration = Duration::from_secs(61);

/// A watcher, or none.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) name: String,
    program: Option<PathBuf>,
}

/// What one call took in one measurement, in instructions for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// By the thread that called.
    pub(crate) caller: f64,
    /// By every other task of the machine, beyond what they take while nothing happens.
    pub(crate) others: f64,
}

/// The samples of a round: by arm, then by call.
pub(crate) type Round = Vec<Vec<Sample>>;

impl Arm {
    pub(crate) fn nothing() -> Self {
        Self {
            name: "nothing".to_owned(),
            program: None,
        }
    }

    pub(crate) fn new(program: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: Some(program.to_owned()),
        }
    }

    pub(crate) fn is_watcher(&self) -> bool {
        self.program.is_some()
    }

    /// Starts or stops it where it belongs: in the machine's own network namespace.
    pub(crate) fn tell(&self, what: &str) -> anyhow::Result<()> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let status = on_a_new_thread(|| {
            let machine = File::open("/proc/1/ns/net")?;
            move_into_link_name_space(machine.as_fd(), Some(LinkNameSpaceType::Network))?;
            Command::new(program)
                .args([&self.name, what])
                .status()
                .with_context(|| format!("run `{}`", program.display()))
        })?;
        ensure!(status.success(), "`{}` did not {what}", self.name);
        Ok(())
    }
}

/// Lets all arms take turns in every round, each time beginning with another, and drops the first
/// round: much of the kernel runs for the first time in it.
pub(crate) fn measure(
    _: &Isolation,
    far: &Far,
    arms: &[Arm],
    rounds: usize,
) -> anyhow::Result<Vec<Round>> {
    let mut kept = Vec::new();
    for number in 0..rounds {
        let mut round: Vec<Option<Vec<Sample>>> = arms.iter().map(|_| None).collect();
        for turn in 0..arms.len() {
            let at = (number + turn) % arms.len();
            let (Some(arm), Some(slot)) = (arms.get(at), round.get_mut(at)) else {
                continue;
            };
            arm.tell("start")?;
            let samples = on_a_new_thread(|| measure_arm(&Isolation::prove()?, far))?;
            arm.tell("stop")?;
            thread::sleep(FORGET);
            for (call, sample) in CALLS.iter().zip(&samples) {
                writeln!(
                    io::stdout(),
                    "sample {number} {} {:.0} {:.0} {}",
                    arm.name,
                    sample.caller,
                    sample.others,
                    call.name
                )?;
            }
            *slot = Some(samples);
        }
        if number > 0 {
            kept.push(round.into_iter().flatten().collect());
        }
    }
    Ok(kept)
}

/// The kernel audits only tasks that began after auditing did, and a namespace is a thread's own.
fn on_a_new_thread<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
}

fn measure_arm(isolation: &Isolation, far: &Far) -> anyhow::Result<Vec<Sample>> {
    // Whatever is done once, for a process or a destination that was not seen before, is no cost of
    // a call.
    for call in &CALLS {
        (call.lap)(isolation, far).context(call.name)?;
    }
    thread::sleep(SETTLE);
    let idle = Idle::measure()?;
    CALLS
        .iter()
        .map(|call| measure_call(isolation, far, call, &idle))
        .collect()
}

fn measure_call(
    isolation: &Isolation,
    far: &Far,
    call: &Call,
    idle: &Idle,
) -> anyhow::Result<Sample> {
    let start = Reading::now()?;
    let mut caller = 0;
    for _ in 0..call.laps {
        caller += (call.lap)(isolation, far).context(call.name)?;
    }
    thread::sleep(SETTLE);
    let others = Reading::now()?.others_since(&start) - idle.during(&start)?;
    let calls = f64::from(call.laps * LAP);
    Ok(Sample {
        caller: float(caller) / calls,
        others: others / calls,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a machine that lives for minutes are far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

struct Reading {
    machine: u64,
    tasks: u64,
    own: u64,
}

impl Reading {
    fn now() -> anyhow::Result<Self> {
        Ok(Self {
            machine: of_the_machine(),
            tasks: of_all_tasks()?,
            own: of_this_thread(),
        })
    }

    fn others_since(&self, start: &Self) -> f64 {
        float(self.tasks - start.tasks) - float(self.own - start.own)
    }
}

/// What other tasks take while nothing happens.
struct Idle {
    share: f64,
}

impl Idle {
    fn measure() -> anyhow::Result<Self> {
        let start = Reading::now()?;
        thread::sleep(SETTLE);
        let end = Reading::now()?;
        Ok(Self {
            share: end.others_since(&start) / float(end.machine - start.machine),
        })
    }

    fn during(&self, start: &Reading) -> anyhow::Result<f64> {
        Ok(self.share * float(Reading::now()?.machine - start.machine))
    }
}
