//! The quick part of the self-check, which runs beside a new observer.
//!
//! Its canaries are made by a thread that ends with it; what comes of them is judged when it was
//! recorded, by the same hooks as everything else.

use std::{
    sync::mpsc::{self, Receiver, Sender, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use super::{Plan, Summary, canaries::Canaries, watcher::Attached};
use crate::{
    canary::{Lab, LabError},
    capture,
    model::{Batch, SelfCheck, Verdict},
    proof::{Ledger, Observed, Program, Proved, Trial, hindrance, make_all, prove, quick_kinds},
    store::{Recorder, WatchPeriodId},
};

/// What has not been recorded so long after it was made never will be: several times what a contact
/// takes to be flushed, even in an emulated machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Canaries that were made, and the namespace that they were in.
struct Sung {
    trials: Vec<Trial>,
    network_namespace: u32,
}

/// The self-check of a new observer, from before its hooks are on until it is in the store; and what
/// keeps canaries, whosever they are, from being learned.
pub(super) struct SelfChecking {
    canaries: Canaries,
    waiting: Option<Singers>,
    running: Option<RunningCheck>,
    unsaved: Option<SelfCheck>,
}

/// A thread that lets the canaries sing once it is told to; it ends if it never will be.
struct Singers {
    go: Sender<()>,
    sung: Receiver<Result<Sung, String>>,
}

impl SelfChecking {
    /// Starts the thread that makes the canaries, if the plan wants them: it needs privileges that
    /// the observer itself may give up.
    pub(super) fn prepare(plan: &Plan) -> Self {
        Self {
            canaries: Canaries::of_this_program(),
            waiting: plan.self_check.then(Singers::start),
            running: None,
            unsaved: None,
        }
    }

    /// The hooks are on: lets the canaries sing.
    pub(super) fn begin(&mut self, attached: &Attached) {
        self.running = self.waiting.take().map(|singers| {
            // A thread that could not be started is told of when it is asked.
            let _is_gone = singers.go.send(()).is_err();
            RunningCheck::of(attached, singers.sung)
        });
    }

    /// Takes canary flows out of what was recorded.
    pub(super) fn take_out_of(&mut self, batch: &mut Batch) {
        let flows = self.canaries.taken_out_of(batch);
        if let Some(running) = &mut self.running {
            running.ledger.take(flows, &batch.retracted);
        }
    }

    /// Tells and stores what was found, once that is certain; what cannot be stored is tried again.
    pub(super) fn go_on(
        &mut self,
        recorder: &mut Recorder,
        period: WatchPeriodId,
        summary: &mut Summary,
    ) {
        if let Some(done) = self.running.as_mut().and_then(RunningCheck::verdict) {
            self.running = None;
            self.tell(done, summary);
        }
        self.store(recorder, period);
    }

    /// The same when nothing more will be recorded.
    pub(super) fn end(
        &mut self,
        recorder: &mut Recorder,
        period: WatchPeriodId,
        summary: &mut Summary,
    ) {
        if let Some(running) = self.running.take() {
            self.tell(running.broken_off(), summary);
        }
        self.store(recorder, period);
    }

    fn tell(&mut self, done: SelfCheck, summary: &mut Summary) {
        summary.self_check = Some(done.clone());
        self.unsaved = Some(done);
    }

    fn store(&mut self, recorder: &mut Recorder, period: WatchPeriodId) {
        if let Some(check) = &self.unsaved
            && recorder.record_self_check(period, check).is_ok()
        {
            self.unsaved = None;
        }
    }
}

/// A self-check that is not over.
struct RunningCheck {
    observed: Observed,
    singers: Receiver<Result<Sung, String>>,
    sung: Option<(Sung, Instant)>,
    ledger: Ledger,
}

impl Singers {
    fn start() -> Self {
        let (go, told_to_go) = mpsc::channel();
        let (sender, sung) = mpsc::channel();
        let spawned = thread::Builder::new()
            .name("self-check".to_owned())
            .spawn(move || {
                if told_to_go.recv().is_ok() {
                    // An observer that has ended meanwhile does not want to know.
                    drop(sender.send(sing()));
                }
            });
        // Without a thread its ends of both channels are gone.
        drop(spawned);
        Self { go, sung }
    }
}

impl RunningCheck {
    fn of(attached: &Attached, singers: Receiver<Result<Sung, String>>) -> Self {
        Self {
            observed: Observed {
                backend: attached.backend.name().to_owned(),
                blind_spots: attached.blind_spots.clone(),
                network_namespace: 0,
            },
            singers,
            sung: None,
            ledger: Ledger::default(),
        }
    }

    /// What was found, once that is certain.
    fn verdict(&mut self) -> Option<SelfCheck> {
        if self.sung.is_none() {
            match self.singers.try_recv() {
                Ok(Ok(sung)) => self.sung = Some((sung, Instant::now())),
                Ok(Err(obstacle)) => return Some(self.hindered(obstacle)),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => {
                    return Some(self.hindered("its thread could not be started".to_owned()));
                }
            }
        }
        let (sung, since) = self.sung.as_ref()?;
        let proved = self.prove(sung);
        let is_whole = proved
            .iter()
            .all(|kind| kind.checked.verdict != Verdict::Missed);
        (is_whole || since.elapsed() > PATIENCE).then(|| self.done(proved))
    }

    /// What can be said when the observer ends before that.
    fn broken_off(mut self) -> SelfCheck {
        if self.sung.is_none()
            && let Ok(Ok(sung)) = self.singers.try_recv()
        {
            self.sung = Some((sung, Instant::now()));
        }
        match &self.sung {
            Some((sung, _)) => self.done(self.prove(sung)),
            None => self.hindered("the observer was stopped before it was over".to_owned()),
        }
    }

    fn prove(&self, sung: &Sung) -> Vec<Proved> {
        let observed = Observed {
            network_namespace: sung.network_namespace,
            ..self.observed.clone()
        };
        prove(&sung.trials, &observed, &self.ledger)
    }

    fn done(&self, proved: Vec<Proved>) -> SelfCheck {
        if let Some(obstacle) = hindrance(&proved) {
            return self.hindered(obstacle);
        }
        SelfCheck {
            kinds: proved.into_iter().map(|kind| kind.checked).collect(),
            ..self.empty()
        }
    }

    fn hindered(&self, obstacle: String) -> SelfCheck {
        SelfCheck {
            obstacle: Some(obstacle),
            ..self.empty()
        }
    }

    fn empty(&self) -> SelfCheck {
        SelfCheck {
            at: capture::now(),
            kernel: Some(capture::kernel_release()),
            backend: self.observed.backend.clone(),
            obstacle: None,
            kinds: Vec::new(),
        }
    }
}

fn sing() -> Result<Sung, String> {
    let program = Program::own().map_err(|cause| format!("find this program's file: {cause}"))?;
    let kinds = quick_kinds();
    let lab = Lab::build_for(&kinds).map_err(|error: LabError| error.to_string())?;
    let network_namespace = lab
        .namespace_inode()
        .map_err(|cause| format!("look at the new network namespace: {cause}"))?;
    Ok(Sung {
        trials: make_all(&lab, &kinds, &program, &|| ()),
        network_namespace: u32::try_from(network_namespace).unwrap_or(0),
    })
}
