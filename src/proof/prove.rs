//! What came of each kind that was tried.

use super::{
    judge::{Observed, Recorded, judge},
    ledger::Ledger,
    makers::{Maker, MakerReport, Trial},
};
use crate::{
    canary::{Kind, Made, Scope},
    model::{CheckedKind, SeenAs, Verdict},
};

/// What came of one kind, with what was recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// What came of it.
    pub checked: CheckedKind,
    /// Whether it is egress at all.
    pub scope: Scope,
    /// What was recorded of it.
    pub seen_as: Vec<SeenAs>,
}

/// Compares each kind that was tried with what was recorded of it.
pub fn prove(trials: &[Trial], observed: &Observed, ledger: &Ledger) -> Vec<Proved> {
    trials
        .iter()
        .map(|trial| match (&trial.report, &trial.maker) {
            (MakerReport::Made(made), Some(maker)) => {
                proved(trial.kind, made, maker, observed, ledger)
            }
            (MakerReport::Lacking(why) | MakerReport::Broken(why), _) => {
                not_made(trial.kind, why.clone())
            }
            (MakerReport::Made(_), None) => {
                not_made(trial.kind, "its maker is not known".to_owned())
            }
        })
        .collect()
}

/// Why nothing at all could be made, if that is what came of it, as in a service that is confined to a
/// few address families: then nothing was proved either.
pub fn hindrance(proved: &[Proved]) -> Option<String> {
    let is_made = |kind: &Proved| kind.checked.verdict != Verdict::NotMade;
    if proved.iter().any(is_made) {
        return None;
    }
    let why = proved.first()?.checked.detail.as_deref();
    Some(format!(
        "no flow could be made: {}",
        why.unwrap_or("nobody knows why")
    ))
}

fn not_made(kind: &Kind, why: String) -> Proved {
    Proved {
        checked: CheckedKind {
            kind: kind.name.to_owned(),
            verdict: Verdict::NotMade,
            blind_spot: None,
            detail: Some(why),
        },
        scope: kind.scope,
        seen_as: Vec::new(),
    }
}

fn proved(
    kind: &'static Kind,
    made: &Made,
    maker: &Maker,
    observed: &Observed,
    ledger: &Ledger,
) -> Proved {
    let recorded = ledger.of(maker);
    let judgement = judge(kind, made, maker, observed, &recorded);
    let is_orphan =
        recorded.is_empty() && ledger.has_orphan(observed.network_namespace, kind.port());
    let detail = match judgement.verdict {
        Verdict::Missed if is_orphan => Some("recorded without its process".to_owned()),
        Verdict::Missed => judgement.fault,
        Verdict::Seen | Verdict::InPart | Verdict::Blind | Verdict::NotMade => None,
    };
    Proved {
        checked: CheckedKind {
            kind: kind.name.to_owned(),
            verdict: judgement.verdict,
            blind_spot: judgement.blind_spot.map(str::to_owned),
            detail,
        },
        scope: kind.scope,
        seen_as: recorded.into_iter().map(seen_as).collect(),
    }
}

fn seen_as(recorded: Recorded) -> SeenAs {
    SeenAs {
        pid: recorded.pid,
        exe: recorded.exe,
        protocol: recorded.protocol,
        address: recorded.address,
        port: recorded.port,
        outcome: recorded.outcome,
        errno: recorded.errno,
    }
}
