//! The one observation in which everything happens that is compared afterwards.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    io::{self, Write},
    sync::{
        LazyLock, Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use egress_baseline::{
    canary::{Kind, kinds},
    proof::Observed,
};
use rustix::process::Signal;

use super::{
    answers::{self, Answers},
    churn::{self, Churn},
    contexts::{self, Placed},
    dump::Dump,
    modules,
    multipath::{self, TwoPaths},
    observer::Observer,
    scenes::{self, Scene},
    scripts::{self, Started},
    workshop::{Run, Workshop},
};

/// Makers that run at once: enough to overlap their waiting, few enough for an emulated machine.
const MAKERS_AT_ONCE: usize = 4;

/// What happened, and what was recorded of it.
pub(crate) struct Session {
    /// What observed.
    pub(crate) observed: Observed,
    /// Everything that was recorded.
    pub(crate) dump: Dump,
    /// The maker of each kind.
    pub(crate) makers: BTreeMap<&'static str, Result<Run, String>>,
    /// The short-lived processes.
    pub(crate) churn: Result<Churn, String>,
    /// The processes that are hard to identify.
    pub(crate) scenes: BTreeMap<&'static str, Result<Scene, String>>,
    /// The processes in cgroups of their own.
    pub(crate) placed: BTreeMap<&'static str, Result<Placed, String>>,
    /// The scripts, by how they were started.
    pub(crate) scripts: BTreeMap<&'static str, Started>,
    /// The programs that answer.
    pub(crate) answers: Answers,
    /// The connection over two paths.
    pub(crate) two_paths: Result<TwoPaths, String>,
    /// Modules that were loaded after the observer had begun.
    pub(crate) late_modules: Vec<String>,
    /// The process that sent to very many places.
    pub(crate) flood: Result<Run, String>,
}

/// The session; made by the first trial that asks.
pub(crate) fn session() -> Result<&'static Session, String> {
    static SESSION: LazyLock<Result<Session, String>> = LazyLock::new(hold);
    static FIRST: Once = Once::new();
    SESSION.as_ref().map_err(|cause| {
        // The same fault fails every trial: once is enough to tell it.
        let mut told = "the observation failed, as told at the first trial".to_owned();
        FIRST.call_once(|| told.clone_from(cause));
        told
    })
}

/// The backend to test: `EGRESS_BACKEND`, else what the program chooses.
pub(crate) fn backend_asked_for() -> String {
    env::var("EGRESS_BACKEND").unwrap_or_else(|_| "auto".to_owned())
}

/// Tells how far the observation has come: a run that is cut off must show where.
fn note(step: &str) {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let seconds = BEGUN.elapsed().as_secs();
    writeln!(io::stderr(), "after {seconds} s: {step}").ok();
}

fn hold() -> Result<Session, String> {
    observe_all().inspect_err(|cause| note(cause))
}

fn observe_all() -> Result<Session, String> {
    note("the observer starts");
    let mut workshop = Workshop::build()?;
    let database = workshop.path().join("flows.db");
    let observer = Observer::start(&database, &["--backend", &backend_asked_for()])?;
    note("modules are loaded that were kept back");
    let late_modules = modules::load_late()?;
    if !late_modules.is_empty() {
        workshop.rebuild_lab()?;
    }
    note("each kind of flow is made");
    let makers = run_makers(&workshop);
    note("short-lived processes come and go");
    let churn = churn::run(&workshop);
    note("programs hide what they are");
    let scenes = scenes::run_all(&workshop);
    let placed = contexts::run_all(&workshop);
    let scripts = scripts::run_all(&workshop);
    note("programs answer");
    let answers = answers::run_all(&workshop);
    note("a connection takes two paths");
    let two_paths = multipath::run();
    note("a flood is sent");
    let flood = workshop.run(
        "flood",
        &[
            "--part-flood",
            &flood_datagrams().to_string(),
            &FLOOD_PORTS.to_string(),
        ],
    );
    note("the observer ends");
    let ended = observer.stop_with(Signal::INT)?;
    note("what was recorded is read");
    if !ended.status.success() {
        return Err(format!(
            "the observer ended with {}: {}",
            ended.status, ended.said
        ));
    }
    let dump = Dump::read(&database)?;
    if let Some(keep) = env::var_os("EGRESS_KEEP_DATABASE") {
        fs::copy(&database, keep).map_err(|cause| cause.to_string())?;
    }
    note("what was recorded is compared");
    Ok(Session {
        observed: observed(&dump, &workshop)?,
        dump,
        makers,
        churn,
        scenes,
        placed,
        scripts,
        answers,
        two_paths,
        late_modules,
        flood,
    })
}

/// What observed, by its own account, and where the makers were.
fn observed(dump: &Dump, workshop: &Workshop) -> Result<Observed, String> {
    let period = dump.watch_periods.first().ok_or("nothing was observed")?;
    let namespace = workshop.lab.namespace_inode();
    let namespace = namespace.map_err(|cause| cause.to_string())?;
    Ok(Observed {
        backend: period.backend.clone().ok_or("the dump tells no backend")?,
        blind_spots: period.blind_spots.clone(),
        network_namespace: u32::try_from(namespace).map_err(|cause| cause.to_string())?,
    })
}

/// The ports that the flood goes to in turn: more than the kernel's table of contacts holds.
const FLOOD_PORTS: u64 = 35_000;

/// Datagrams of the flood; `EGRESS_TEST_FLOOD` makes it smaller where the machine is slow.
pub(crate) fn flood_datagrams() -> u64 {
    smaller_flood().unwrap_or(40_000)
}

fn smaller_flood() -> Option<u64> {
    env::var("EGRESS_TEST_FLOOD").ok()?.parse().ok()
}

/// How many of something: `usual`, or `fewer` where the machine is slow.
pub(crate) fn quickened(usual: u16, fewer: u16) -> u16 {
    if smaller_flood().is_some() {
        fewer
    } else {
        usual
    }
}

/// The arguments of a maker; words that are hostile to whoever prints them come last.
fn maker_arguments(kind: &Kind) -> Vec<OsString> {
    ["--part-make", kind.name].map(OsString::from).to_vec()
}

/// Makes every kind, each in a process of its own.
pub(crate) fn run_makers(workshop: &Workshop) -> BTreeMap<&'static str, Result<Run, String>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..MAKERS_AT_ONCE {
            scope.spawn(|| {
                while let Some(kind) = kinds().get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result =
                        workshop.run(format!("make-{}", kind.name), &maker_arguments(kind));
                    if let Ok(mut results) = results.lock() {
                        results.insert(kind.name, result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}
