//! What this kernel's backend was seen to see: the lines that `docs/kernel-support.md` is made of.

use std::{collections::BTreeMap, env, fs, io, sync::Mutex};

use egress_baseline::canary::{Kind, Scope};

/// What came of comparing a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Recorded with everything.
    Seen,
    /// Recorded with less, as that blind spot says.
    InPart(&'static str),
    /// Not recorded, as a blind spot says.
    Unseen(Option<&'static str>),
    /// This kernel does not have it.
    NotThere,
    /// Not as it should be: the trial failed.
    Missed,
}

impl Verdict {
    fn text(self) -> String {
        match self {
            Self::Seen => "seen".to_owned(),
            Self::InPart(code) => format!("in part\t{code}"),
            Self::Unseen(code) => format!("unseen\t{}", code.unwrap_or_default()),
            Self::NotThere => "not there".to_owned(),
            Self::Missed => "missed".to_owned(),
        }
    }
}

static VERDICTS: Mutex<BTreeMap<&'static str, Verdict>> = Mutex::new(BTreeMap::new());

/// Notes a verdict; what is no egress is in no table.
pub(crate) fn note(kind: &'static Kind, verdict: Verdict) {
    if kind.scope == Scope::Egress
        && let Ok(mut verdicts) = VERDICTS.lock()
    {
        verdicts.insert(kind.name, verdict);
    }
}

/// Writes what was noted to the file that `EGRESS_TEST_RESULTS` names, if it names one: a kind, what
/// was seen and the blind spot in each line, with tabs between them.
pub(crate) fn write() -> io::Result<()> {
    let Some(path) = env::var_os("EGRESS_TEST_RESULTS") else {
        return Ok(());
    };
    let verdicts = VERDICTS
        .lock()
        .map_err(|_| io::Error::other("a trial panicked"))?;
    let text: String = verdicts
        .iter()
        .map(|(kind, verdict)| format!("{kind}\t{}\n", verdict.text()))
        .collect();
    fs::write(path, text)
}
