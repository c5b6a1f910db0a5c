//! Whether each kind of flow is seen on this host, and what stands in the way.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::IpAddr,
};

use serde::Serialize;

use super::{
    DOCUMENT_VERSION, FAILURE, FAINT, GOOD, HEADING, WARNING,
    humane::counted,
    table::{Cell, Side, Table},
    visible,
    wrap::wrapped,
};
use crate::model::{
    BackendFailure, BlindSpot, CheckedKind, Outcome, SeenAs, SelfCheck, Timestamp, Verdict,
};

/// How well the host is suited in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Good,
    /// Something is lost by it.
    Poor,
    /// Nothing works so.
    Bad,
}

/// One respect in which a host may be suited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What it is about, in a word or two.
    pub topic: &'static str,
    /// How well the host is suited.
    pub grade: Grade,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    pub advice: Option<&'static str>,
}

/// What was recorded of a canary flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordedCanary {
    /// Process id.
    pub pid: Option<u32>,
    /// Executable.
    pub exe: Option<String>,
    /// Protocol.
    pub proto: String,
    /// Destination address.
    pub dst_ip: Option<IpAddr>,
    /// Destination port.
    pub dst_port: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Errno of a failure.
    pub errno: Option<i32>,
}

impl From<SeenAs> for RecordedCanary {
    fn from(seen: SeenAs) -> Self {
        Self {
            pid: seen.pid,
            exe: seen.exe,
            proto: seen.protocol.word(seen.address),
            dst_ip: seen.address,
            dst_port: seen.port,
            outcome: seen.outcome,
            errno: seen.errno,
        }
    }
}

/// One kind of flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindReport {
    /// What came of it.
    #[serde(flatten)]
    pub checked: CheckedKind,
    /// Whether it is egress, so that it must be recorded at all.
    pub is_egress: bool,
    /// What was recorded of it.
    pub recorded: Vec<RecordedCanary>,
}

/// The backend that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendReport {
    /// Its name.
    pub name: String,
    /// Why others could not be used.
    pub failures: Vec<BackendFailure>,
    /// What it does not see.
    pub blind_spots: Vec<BlindSpot>,
}

/// What `doctor` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// Version of the document.
    pub version: u32,
    /// When it was over.
    pub at: Timestamp,
    /// Release of the kernel.
    pub kernel: String,
    /// How well the host is suited.
    pub conditions: Vec<Condition>,
    /// The backend, if one could be turned on.
    pub backend: Option<BackendReport>,
    /// Why nothing could be proved.
    pub obstacle: Option<String>,
    /// Executable of the canaries.
    pub exe: Option<String>,
    /// What came of each kind.
    pub kinds: Vec<KindReport>,
}

impl DoctorReport {
    /// A report that tells of the host alone.
    pub fn of_host(at: Timestamp, kernel: String, conditions: Vec<Condition>) -> Self {
        Self {
            version: DOCUMENT_VERSION,
            at,
            kernel,
            conditions,
            backend: None,
            obstacle: None,
            exe: None,
            kinds: Vec::new(),
        }
    }

    /// Whether a kind was missed that the backend claims to see.
    pub fn has_missed(&self) -> bool {
        self.count(Verdict::Missed) > 0
    }

    /// The same as a store keeps it, beside what is recorded through `backend`.
    pub fn self_check(&self, backend: &str) -> SelfCheck {
        SelfCheck {
            at: self.at,
            kernel: Some(self.kernel.clone()),
            backend: backend.to_owned(),
            obstacle: self.obstacle.clone(),
            kinds: self.kinds.iter().map(|kind| kind.checked.clone()).collect(),
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        let of_verdict = |kind: &&KindReport| kind.checked.verdict == verdict;
        self.kinds.iter().filter(of_verdict).count()
    }
}

/// What matters most comes last, where a terminal shows it.
const IN_ORDER: [Verdict; 5] = [
    Verdict::Seen,
    Verdict::InPart,
    Verdict::Blind,
    Verdict::NotMade,
    Verdict::Missed,
];

/// Lines are no longer than this: the narrowest terminal that people use.
const COLUMNS: usize = 80;

/// Writes it as text.
pub fn write_text(report: &DoctorReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{HEADING}Host{HEADING:#}  Linux {}",
        visible(&report.kernel)
    )?;
    for condition in &report.conditions {
        write_condition(condition, out)?;
    }
    if let Some(backend) = &report.backend {
        write_backend(backend, out)?;
    }
    if let Some(obstacle) = &report.obstacle {
        writeln!(out)?;
        write!(out, "{FAILURE}Nothing was proved{FAILURE:#}  ")?;
        return write_wrapped(obstacle, 20, out);
    }
    for verdict in IN_ORDER {
        write_verdict(report, verdict, out)?;
    }
    writeln!(out)?;
    write_sum(report, out)
}

fn write_wrapped(text: &str, indent: usize, out: &mut dyn Write) -> io::Result<()> {
    for (number, line) in wrapped(&visible(text), COLUMNS - indent).enumerate() {
        match number {
            0 => writeln!(out, "{line}")?,
            _ => writeln!(out, "{:indent$}{line}", "")?,
        }
    }
    Ok(())
}

fn write_condition(condition: &Condition, out: &mut dyn Write) -> io::Result<()> {
    const INDENT: usize = 8;
    let (style, word) = match condition.grade {
        Grade::Good => (GOOD, "ok"),
        Grade::Poor => (WARNING, "poor"),
        Grade::Bad => (FAILURE, "bad"),
    };
    write!(out, "  {style}{word:<4}{style:#}  ")?;
    let text = format!("{}: {}", condition.topic, condition.finding);
    write_wrapped(&text, INDENT, out)?;
    match condition.advice {
        Some(advice) => {
            write!(out, "{:INDENT$}", "")?;
            write_wrapped(advice, INDENT, out)
        }
        None => Ok(()),
    }
}

fn write_backend(backend: &BackendReport, out: &mut dyn Write) -> io::Result<()> {
    const INDENT: usize = 9;
    let name = visible(&backend.name);
    writeln!(out, "{HEADING}Backend{HEADING:#}  {name}")?;
    for failure in &backend.failures {
        write!(out, "{:INDENT$}", "")?;
        let text = format!("not {}: {}", failure.backend, failure.reason);
        write_wrapped(&text, INDENT, out)?;
    }
    Ok(())
}

/// The kinds that ended so, those of one blind spot together.
fn write_verdict(report: &DoctorReport, verdict: Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut groups: BTreeMap<Option<&str>, Vec<&KindReport>> = BTreeMap::new();
    for kind in report
        .kinds
        .iter()
        .filter(|kind| kind.checked.verdict == verdict)
    {
        groups
            .entry(kind.checked.blind_spot.as_deref())
            .or_default()
            .push(kind);
    }
    for (code, kinds) in groups {
        writeln!(out)?;
        write_heading(report, verdict, code, kinds.len(), out)?;
        match verdict {
            Verdict::Seen | Verdict::InPart => seen_table(&kinds).write(2, out)?,
            Verdict::Missed | Verdict::NotMade => write_details(&kinds, out)?,
            Verdict::Blind => write_names(&kinds, out)?,
        }
    }
    Ok(())
}

fn write_heading(
    report: &DoctorReport,
    verdict: Verdict,
    code: Option<&str>,
    number: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let style = match verdict {
        Verdict::Missed => WARNING,
        Verdict::Seen | Verdict::InPart | Verdict::Blind | Verdict::NotMade => HEADING,
    };
    let word = match verdict {
        Verdict::Missed => "MISSED",
        Verdict::Seen => "Seen",
        Verdict::InPart => "Seen in part",
        Verdict::Blind => "Not seen",
        Verdict::NotMade => "Not made here",
    };
    writeln!(
        out,
        "{style}{word}{style:#}  {}",
        counted(number as u64, "kind", "kinds")
    )?;
    let spots = report
        .backend
        .iter()
        .flat_map(|backend| &backend.blind_spots);
    if let Some(code) = code {
        let text = spots
            .filter(|spot| spot.code == code)
            .map(|spot| spot.text.as_str())
            .next()
            .unwrap_or_default();
        write!(out, "  ")?;
        write_wrapped(&format!("blind spot {code}: {text}"), 2, out)?;
    }
    Ok(())
}

fn seen_table(kinds: &[&KindReport]) -> Table {
    let mut table = Table::new(vec![
        ("KIND", Side::Left),
        ("DESTINATION", Side::Left),
        ("OUTCOME", Side::Left),
        ("PID", Side::Right),
    ]);
    for kind in kinds {
        let name = Cell::plain(visible(&kind.checked.kind));
        match kind.recorded.as_slice() {
            [one] => table.add(vec![
                name,
                Cell::plain(destination(one)),
                Cell::plain(one.outcome.word()),
                Cell::plain(one.pid.map(|pid| pid.to_string()).unwrap_or_default()),
            ]),
            _ => table.add(vec![
                name,
                Cell::styled("no flow, as it should be", FAINT),
                Cell::default(),
                Cell::default(),
            ]),
        }
    }
    table
}

fn destination(recorded: &RecordedCanary) -> String {
    let port = recorded.dst_port.map(|port| format!("/{port}"));
    let address = recorded
        .dst_ip
        .map_or_else(|| "(not told)".to_owned(), |address| address.to_string());
    format!("{address} {}{}", recorded.proto, port.unwrap_or_default())
}

fn write_details(kinds: &[&KindReport], out: &mut dyn Write) -> io::Result<()> {
    let width = kinds
        .iter()
        .map(|kind| kind.checked.kind.len())
        .max()
        .unwrap_or(0);
    for kind in kinds {
        write!(out, "  {:<width$}  ", visible(&kind.checked.kind))?;
        let mut text = kind.checked.detail.clone().unwrap_or_default();
        for one in &kind.recorded {
            let exe = one.exe.as_deref().unwrap_or("(unknown)");
            text.push_str(&format!("; {} {} by {exe}", destination(one), one.outcome));
        }
        write_wrapped(&text, width + 4, out)?;
    }
    Ok(())
}

fn write_names(kinds: &[&KindReport], out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<&str> = kinds
        .iter()
        .map(|kind| kind.checked.kind.as_str())
        .collect();
    write!(out, "  ")?;
    write_wrapped(&names.join(", "), 2, out)
}

fn write_sum(report: &DoctorReport, out: &mut dyn Write) -> io::Result<()> {
    if let Some(exe) = &report.exe {
        write!(
            out,
            "{FAINT}Each was made by a process of its own from{FAINT:#} "
        )?;
        writeln!(out, "{}", visible(exe))?;
    }
    let made = report.kinds.len() - report.count(Verdict::NotMade);
    let missed = report.count(Verdict::Missed);
    let kinds = counted(made as u64, "kind", "kinds");
    if missed > 0 {
        return writeln!(out, "{WARNING}{missed} of {kinds} MISSED{WARNING:#}");
    }
    if made == 0 {
        return writeln!(out, "{WARNING}no kind of flow could be made{WARNING:#}");
    }
    let backend = report.backend.as_ref();
    let name = backend.map_or("", |backend| backend.name.as_str());
    writeln!(
        out,
        "{GOOD}{kinds} made, all recorded as backend {} claims{GOOD:#}",
        visible(name)
    )
}
