//! `import`.

mod source;

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use self::source::Source;
use super::{error::CommandError, now, output};
use crate::{
    commands::Exit,
    commands::options::GlobalArgs,
    exchange::{LineError, parse_line},
    identity::application_of,
    mapping::map_by_present_rules,
    model::{
        FlowRecord, IdentityRecord, ImportSource, Record, RecordedFlow, Timestamp, WatchKind,
        WatchPeriod,
    },
    report::{counted, visible},
    store::{ImportTransaction, Imported, Recorder, StoreError},
};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// File of flows, one JSON object a line, plain or compressed with gzip or zstd; - is standard
    /// input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Leave out lines that are no flows, and count them
    #[arg(long)]
    pub skip_bad: bool,
}

/// What a line that is no record does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnBadLine {
    Stop,
    Skip,
}

/// What a file holds, found before anything is written.
#[derive(Debug, Default)]
struct Survey {
    sha256: String,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Reads a file of flows into the database: all of it or nothing.
///
/// The file is read twice. Its digest must be known before the first row is written, since a file
/// that came in before adds nothing; and a bad line is found without a transaction to undo.
pub fn run(args: &ImportArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let on_bad_line = if args.skip_bad {
        OnBadLine::Skip
    } else {
        OnBadLine::Stop
    };
    let source = Source::open(&args.file, global.quiet)?;
    let survey = survey(&source, on_bad_line)?;
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let period = watch_period(&source, &survey, &host);
    let mut recorder = Recorder::open(&global.db)?;
    map_by_present_rules(&mut recorder)?;
    let mut left_out = 0_u64;
    let imported = recorder.import::<anyhow::Error>(&period, |transaction| {
        let read = source.each_line(|number, line| {
            let problem = match parse_line(line) {
                Ok(None) => return Ok(()),
                Ok(Some(record)) => match add(transaction, record, &host) {
                    Ok(()) => return Ok(()),
                    Err(error) => not_fitting(error, &source, number)?,
                },
                Err(error) => bad_line(&source, number, error),
            };
            match on_bad_line {
                OnBadLine::Stop => Err(problem),
                OnBadLine::Skip => {
                    transaction.skip_line();
                    left_out += 1;
                    Ok(())
                }
            }
        })?;
        if read == survey.sha256 {
            Ok(())
        } else {
            let file = source.name().to_owned();
            Err(CommandError::ChangedWhileRead { file }.into())
        }
    })?;
    source.finish();
    output::write_text(|out| writeln!(out, "{}", told(&imported, &source, left_out)))?;
    Ok(Exit::Done)
}

fn survey(source: &Source, on_bad_line: OnBadLine) -> anyhow::Result<Survey> {
    let mut survey = Survey::default();
    survey.sha256 = source.each_line(|number, line| {
        match parse_line(line) {
            Ok(Some(Record::Flow(recorded))) => {
                let flow = &recorded.flow;
                let last = flow.end.map_or(flow.start, |end| end.max(flow.start));
                survey.first = Some(survey.first.map_or(flow.start, |at| at.min(flow.start)));
                survey.last = Some(survey.last.map_or(last, |at| at.max(last)));
            }
            Err(error) if on_bad_line == OnBadLine::Stop => {
                return Err(bad_line(source, number, error));
            }
            Ok(_) | Err(_) => {}
        }
        Ok(())
    })?;
    Ok(survey)
}

fn bad_line(source: &Source, line: u64, error: LineError) -> anyhow::Error {
    CommandError::BadLine {
        file: source.name().to_owned(),
        line,
        source: error,
    }
    .into()
}

/// A record that refers to one which is not there is a bad line; any other failure is the store's
/// and ends the import.
fn not_fitting(error: StoreError, source: &Source, line: u64) -> anyhow::Result<anyhow::Error> {
    match error {
        StoreError::UnknownReference { .. } => {
            Ok(anyhow::Error::from(error).context(format!("{}:{line}", source.name())))
        }
        other => Err(other.into()),
    }
}

/// An import is a watch period of its own: it covers what its flows span.
fn watch_period(source: &Source, survey: &Survey, host: &str) -> WatchPeriod {
    let now = now();
    let last = survey.last.unwrap_or(now);
    WatchPeriod {
        kind: WatchKind::Import,
        host: host.to_owned(),
        boot_id: None,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        backend: None,
        backend_failures: Vec::new(),
        blind_spots: Vec::new(),
        settings: serde_json::json!({ "imported_at": now }),
        source: Some(ImportSource {
            file: source.name().to_owned(),
            sha256: survey.sha256.clone(),
        }),
        started: survey.first.unwrap_or(now),
        covered_until: last,
        ended: Some(last),
    }
}

fn add(
    transaction: &mut ImportTransaction<'_>,
    mut record: Record,
    default_host: &str,
) -> Result<(), StoreError> {
    match &mut record {
        Record::Flow(recorded) if recorded.identity_id.is_none() => {
            transaction.add_flow(&flow_record(recorded, default_host))?;
        }
        Record::Flow(recorded) => {
            let application = application_of(&recorded.identity);
            transaction.add_record(&record, Some(&application))?;
        }
        Record::Identity { raw, .. } => {
            let application = application_of(raw);
            transaction.add_record(&record, Some(&application))?;
        }
        Record::Store { .. }
        | Record::WatchPeriod { .. }
        | Record::Loss { .. }
        | Record::SelfCheck { .. }
        | Record::File { .. }
        | Record::FileUse { .. }
        | Record::Process { .. }
        | Record::Rollup(_)
        | Record::NameAddress(_) => transaction.add_record(&record, None)?,
    }
    Ok(())
}

/// A flow whose line says all that is known of its maker.
fn flow_record(recorded: &RecordedFlow, default_host: &str) -> FlowRecord {
    let mut raw = recorded.identity.clone();
    let mut process = recorded.process.clone();
    if raw.host.is_empty() {
        raw.host = default_host.to_owned();
    }
    if let Some(process) = &mut process {
        process.host.clone_from(&raw.host);
    }
    FlowRecord {
        flow: recorded.flow.clone(),
        process: process.map(Arc::new),
        identity: Arc::new(IdentityRecord {
            application: application_of(&raw),
            raw,
            run: recorded.run.clone(),
        }),
        ticket: None,
        settles: None,
    }
}

fn told(imported: &Imported, source: &Source, left_out: u64) -> String {
    let file = visible(source.name());
    match imported {
        Imported::KnownFile(_) => {
            format!("imported 0 flows from {file}: its content was imported before")
        }
        Imported::Added(recorded) => {
            let (number, known) = (recorded.flows, recorded.known_flows);
            let flows = if number == 1 { "flow" } else { "flows" };
            let mut told = format!("imported {number} {flows} ({known} known) from {file}");
            if left_out > 0 {
                let lines = counted(left_out, "line", "lines");
                told.push_str(&format!("; left out {lines} that could not be read"));
            }
            told
        }
    }
}
