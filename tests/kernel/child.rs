//! What this binary does when it is started again as one of the processes that are observed.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use egress_baseline::canary::{Isolation, Made, NotMade, kind_named};
use serde::{Deserialize, Serialize};

/// What a child says on standard output, in one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The flow was made.
    Made(Made),
    /// The kernel or the laboratory lacks what it needs.
    Lacking(String),
    /// It should have worked.
    Broken(String),
}

/// Plays the part that the arguments name; none if they name no part.
pub(crate) fn run(arguments: Vec<OsString>) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().map_while(|word| word.to_str()).collect();
    let report = match words.as_slice() {
        ["--make", kind, ..] => make(kind),
        _ => return None,
    };
    Some(say(&report))
}

fn make(name: &str) -> Report {
    let Some(kind) = kind_named(name) else {
        return Report::Broken(format!("there is no kind `{name}`"));
    };
    match Isolation::prove() {
        Ok(isolation) => report_of(kind.make(&isolation)),
        Err(reason) => Report::Broken(format!("nothing is sent from here: {reason}")),
    }
}

fn report_of(result: Result<Made, NotMade>) -> Report {
    match result {
        Ok(made) => Report::Made(made),
        Err(NotMade::Lacking(what)) => Report::Lacking(what),
        Err(broken @ NotMade::Broken { .. }) => Report::Broken(broken.to_string()),
    }
}

fn say(report: &Report) -> ExitCode {
    let line = serde_json::to_string(report).expect("a report is plain data");
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
