//! Makes each kind in a process of its own, and hears from it what it did.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    canary::{Isolation, Kind, Lab, Made, NotMade, kind_named, lacking_module},
    model::text_of_bytes,
};

/// The word on the command line with which this program becomes the maker of one kind.
pub const MAKE_COMMAND: &str = "make-canary";

/// Makers that run at once: enough to overlap their waiting, few enough for an emulated machine.
const MAKERS_AT_ONCE: usize = 4;

/// Longer than any kind takes, even where each of its calls waits for its own timeout.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the end of a maker is looked for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// The inode of the first pid namespace, by which the kernel calls it (`PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// What a maker says on standard output, in one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MakerReport {
    /// The flow was made.
    Made(Made),
    /// The kernel or the laboratory lacks what it needs.
    Lacking(String),
    /// It should have worked.
    Broken(String),
}

/// Makes the kind of that name in this very process, if nothing can leave the machine from here.
pub fn report_of(name: &str) -> MakerReport {
    let isolation = match Isolation::prove() {
        Ok(isolation) => isolation,
        Err(reason) => {
            return MakerReport::Broken(format!("nothing is sent from here: {reason}"));
        }
    };
    let Some(kind) = kind_named(name) else {
        return MakerReport::Broken(format!("there is no kind `{name}`"));
    };
    match kind.make(&isolation) {
        Ok(made) => MakerReport::Made(made),
        Err(NotMade::Lacking(what)) => MakerReport::Lacking(what),
        Err(broken @ NotMade::Broken { .. }) => MakerReport::Broken(broken.to_string()),
    }
}

/// A process that made a kind, as its parent knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Its process id; none where this process does not know the ids that the kernel has for it.
    pub pid: Option<u32>,
    /// Its parent's; none likewise.
    pub ppid: Option<u32>,
    /// The file that was executed, as the store writes it.
    pub exe: String,
    /// Its arguments, as the store writes them.
    pub argv: Vec<String>,
    /// Its user.
    pub uid: u32,
}

/// One kind that was tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The kind.
    pub kind: &'static Kind,
    /// The process, unless none was started.
    pub maker: Option<Maker>,
    /// What it said.
    pub report: MakerReport,
}

/// This program, as makers are started from it.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    has_known_pids: bool,
}

/// The running program's file, whatever lies at its path by now.
const OWN_FILE: &str = "/proc/self/exe";

impl Program {
    /// The program that runs.
    pub fn own() -> io::Result<Self> {
        let namespace = fs::read_link("/proc/self/ns/pid");
        Ok(Self {
            path: path_without_mark(fs::read_link(OWN_FILE)?),
            has_known_pids: namespace
                .is_ok_and(|namespace| namespace == Path::new(FIRST_PID_NAMESPACE)),
        })
    }

    /// Its path, as the store writes it.
    pub fn exe(&self) -> String {
        text_of_bytes(self.path.as_os_str().as_bytes())
    }

    fn maker_of(&self, child: &Child, command: &Command) -> Maker {
        let words = std::iter::once(self.path.as_os_str()).chain(command.get_args());
        Maker {
            pid: self.has_known_pids.then(|| child.id()),
            ppid: self.has_known_pids.then(std::process::id),
            exe: self.exe(),
            argv: words.map(|word| text_of_bytes(word.as_bytes())).collect(),
            uid: rustix::process::getuid().as_raw(),
        }
    }
}

/// The kernel marks the path of a file that was replaced while it runs, as an upgrade does.
fn path_without_mark(path: PathBuf) -> PathBuf {
    if path.exists() {
        return path;
    }
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(bytes) => PathBuf::from(OsStr::from_bytes(bytes)),
        None => path,
    }
}

/// Makes each kind in a process of its own in the laboratory, and calls `told` after each.
///
/// A kind for which the kernel would have to load a module is not made.
pub fn make_all(
    lab: &Lab,
    kinds: &[&'static Kind],
    program: &Program,
    told: &(dyn Fn() + Sync),
) -> Vec<Trial> {
    let next = AtomicUsize::new(0);
    let trials = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..MAKERS_AT_ONCE {
            scope.spawn(|| {
                while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let trial = make(lab, kind, program);
                    if let Ok(mut trials) = trials.lock() {
                        trials.push(trial);
                    }
                    told();
                }
            });
        }
    });
    let mut trials = trials.into_inner().unwrap_or_default();
    // In the order in which they were asked for.
    trials.sort_by_key(|trial| kinds.iter().position(|kind| kind.name == trial.kind.name));
    trials
}

fn make(lab: &Lab, kind: &'static Kind, program: &Program) -> Trial {
    let without_process = |report| Trial {
        kind,
        maker: None,
        report,
    };
    if let Some(module) = lacking_module(kind) {
        return without_process(MakerReport::Lacking(format!("`{module}` is not loaded")));
    }
    let mut command = Command::new(OWN_FILE);
    command
        .arg0(&program.path)
        .args([OsString::from(MAKE_COMMAND), OsString::from(kind.name)])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match lab.place(&mut command).and_then(|()| command.spawn()) {
        Ok(child) => Trial {
            kind,
            maker: Some(program.maker_of(&child, &command)),
            report: heard(child),
        },
        Err(cause) => without_process(MakerReport::Broken(format!("start its maker: {cause}"))),
    }
}

/// What a maker said, once it has ended.
fn heard(mut child: Child) -> MakerReport {
    let ended = match ended_in_time(&mut child) {
        Ok(Some(status)) => status,
        Ok(None) => return MakerReport::Broken("its maker did not end".to_owned()),
        Err(cause) => return MakerReport::Broken(format!("wait for its maker: {cause}")),
    };
    let said = child.stdout.take().map(text_of).unwrap_or_default();
    let report = said
        .lines()
        .find_map(|line| serde_json::from_str(line).ok());
    report.unwrap_or_else(|| {
        let complaint = child.stderr.take().map(text_of).unwrap_or_default();
        let complaint = complaint.trim();
        MakerReport::Broken(format!("its maker ended with {ended}: {complaint}"))
    })
}

/// What a maker says fits into a pipe: it is read when the maker is gone.
fn ended_in_time(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn text_of(pipe: impl Read) -> String {
    /// Far more than any maker says.
    const MOST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    // Less than everything is told like nothing: as a maker without a report.
    drop(pipe.take(MOST).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}
