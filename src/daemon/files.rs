//! A thread that examines the files that run, so that capture never waits for a disk.
//!
//! Questions wait in a bounded queue; what found no room, and what was never answered, is counted.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::setpriority_process;

use super::{Plan, privileges};
use crate::{
    identity::{
        facts::{Answered, ExamineLimits, Examiner, FileQuestion, Stop},
        is_interpreter, script_file_of,
    },
    model::{FileFacts, FileRole, ProcessImage, ProcessKey, text_of_bytes},
};

/// How long the last flush waits for answers. Nothing is read any more by then, so that this is for a
/// disk that hangs.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Nothing of this is urgent.
const NICE: i32 = 10;

type Answer = (ProcessKey, FileRole, Arc<FileFacts>);

/// What was asked, and where the answers come from.
#[derive(Debug)]
pub(super) struct Files {
    /// Whether files are to be examined.
    is_on: bool,
    worker: Option<Worker>,
    /// Questions without an answer.
    open: u64,
    unanswered: u64,
    stop: Stop,
}

#[derive(Debug)]
struct Worker {
    questions: mpsc::SyncSender<FileQuestion>,
    answers: mpsc::Receiver<Answer>,
}

/// Where a process stands to the host's files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// It is in another mount namespace.
    pub(super) is_elsewhere: bool,
    /// Its executable is not the host's file of that path.
    pub(super) is_foreign: bool,
}

impl Files {
    /// Starts the thread, unless the plan is not to examine anything.
    pub(super) fn start(root: &'static Path, plan: &Plan) -> Self {
        let stop = Stop::default();
        Self {
            is_on: plan.provenance.is_some(),
            worker: plan
                .provenance
                .and_then(|limits| start(root, plan, limits, &stop)),
            open: 0,
            unanswered: 0,
            stop,
        }
    }

    /// Asks for the files of a process; returns those that are to be expected.
    pub(super) fn meet(&mut self, image: &ProcessImage, standing: Standing) -> Vec<FileRole> {
        let is_nowhere = image.exe.is_empty() || image.flags.exe_truncated;
        if !self.is_on || image.flags.kernel_thread || is_nowhere {
            return Vec::new();
        }
        let mut expected = Vec::new();
        for question in questions_of(image, standing) {
            let role = question.role;
            let asked = self
                .worker
                .as_ref()
                .is_some_and(|worker| worker.questions.try_send(question).is_ok());
            if asked {
                self.open += 1;
                expected.push(role);
            } else {
                self.unanswered += 1;
            }
        }
        expected
    }

    /// What was found out since the last call. The last time, what is left unread stays so.
    pub(super) fn told(&mut self, is_last: bool) -> Vec<Answer> {
        let mut told = Vec::new();
        if is_last {
            self.stop.tell();
        }
        let until = Instant::now()
            + if is_last {
                LONGEST_WAIT
            } else {
                Duration::ZERO
            };
        while self.open > 0 {
            let Some(worker) = &self.worker else { break };
            let left = until.saturating_duration_since(Instant::now());
            match worker.answers.recv_timeout(left) {
                Ok(answer) => {
                    self.open -= 1;
                    told.push(answer);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => break,
                Err(mpsc::RecvTimeoutError::Disconnected) => self.give_up(),
            }
        }
        if is_last {
            self.give_up();
        }
        told
    }

    fn give_up(&mut self) {
        self.unanswered += std::mem::take(&mut self.open);
        self.worker = None;
    }

    /// How many files were not examined since the last call.
    pub(super) fn unanswered(&mut self) -> u64 {
        std::mem::take(&mut self.unanswered)
    }
}

fn questions_of(image: &ProcessImage, standing: Standing) -> Vec<FileQuestion> {
    let path = text_of_bytes(&image.exe);
    let script = is_interpreter(&path).then(|| {
        let words: Vec<String> = image.argv.iter().map(|word| text_of_bytes(word)).collect();
        let directory = text_of_bytes(&image.directory);
        script_file_of(&path, &words, Some(&directory))
    });
    let executable = FileQuestion {
        process: image.key,
        role: FileRole::Executable,
        path,
        exe_device: image.exe_device,
        exe_inode: image.exe_inode,
        is_elsewhere: standing.is_elsewhere,
        is_foreign: standing.is_foreign,
        is_nameless: image.flags.exe_deleted || image.flags.exe_pseudo,
    };
    let script = script.flatten().map(|path| FileQuestion {
        role: FileRole::Script,
        path,
        ..executable.clone()
    });
    std::iter::once(executable).chain(script).collect()
}

fn start(root: &'static Path, plan: &Plan, limits: ExamineLimits, stop: &Stop) -> Option<Worker> {
    let (questions, asked) = mpsc::sync_channel::<FileQuestion>(limits.waiting);
    let (answer, answers) = mpsc::channel();
    let (host, account) = (plan.scope.host.clone(), plan.account.clone());
    let stop = stop.clone();
    let answer_all = move || {
        // Files of others, through the processes that run them.
        if privileges::give_up(account.as_ref(), privileges::FOR_FILES).is_err() {
            return;
        }
        // Of this thread alone; where that is not allowed, it is as urgent as the others.
        let _may_be_refused = setpriority_process(None, NICE);
        let mut examiner = Examiner::of_host(root, &host, limits);
        while let Some(answered) = go_on(&mut examiner, &asked, &stop) {
            for (question, facts) in answered {
                let told = (question.process, question.role, facts);
                if answer.send(told).is_err() {
                    return;
                }
            }
        }
    };
    let spawned = thread::Builder::new()
        .name("files".to_owned())
        .spawn(answer_all);
    spawned.is_ok().then_some(Worker { questions, answers })
}

/// Takes the next question if one waits and there is room, and else reads on; `None` once nobody asks
/// any more.
fn go_on(
    examiner: &mut Examiner,
    asked: &mpsc::Receiver<FileQuestion>,
    stop: &Stop,
) -> Option<Vec<Answered>> {
    if !examiner.is_reading() {
        return Some(examiner.take(asked.recv().ok()?, stop));
    }
    if !examiner.is_full() {
        match asked.try_recv() {
            Ok(question) => return Some(examiner.take(question, stop)),
            Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => return None,
        }
    }
    Some(examiner.go_on(stop))
}
