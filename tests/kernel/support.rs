//! What this kernel's backend was seen to see: the lines that `docs/kernel-support.md` is made of.

use std::{collections::BTreeMap, env, fs, io, sync::Mutex};

use egress_baseline::{
    canary::{Kind, Scope},
    model::Verdict,
};

type Noted = (Verdict, Option<&'static str>);

static VERDICTS: Mutex<BTreeMap<&'static str, Noted>> = Mutex::new(BTreeMap::new());

/// Notes a verdict and the blind spot that explains it; what is no egress is in no table.
pub(crate) fn note(kind: &'static Kind, verdict: Verdict, blind_spot: Option<&'static str>) {
    if kind.scope == Scope::Egress
        && let Ok(mut verdicts) = VERDICTS.lock()
    {
        verdicts.insert(kind.name, (verdict, blind_spot));
    }
}

/// The word for it in the results.
fn text((verdict, blind_spot): &Noted) -> String {
    let code = blind_spot.unwrap_or_default();
    match verdict {
        Verdict::Seen => "seen".to_owned(),
        Verdict::InPart => format!("in part\t{code}"),
        Verdict::Blind => format!("unseen\t{code}"),
        Verdict::NotMade => "not there".to_owned(),
        Verdict::Missed => "missed".to_owned(),
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
        .map(|(kind, verdict)| format!("{kind}\t{}\n", text(verdict)))
        .collect();
    fs::write(path, text)
}
