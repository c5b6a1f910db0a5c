//! A thread that looks up what containers are called, so that capture waits for a disk only at a flush,
//! and not for long.
//!
//! It starts with the first container that is met: a host without any has no such thread.

use std::{
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::privileges;
use crate::{
    identity::{ContainerId, container_on, facts::facts_of_container},
    model::{CgroupSeen, ContainerFacts, text_of_bytes},
};

/// Containers that may wait to be looked up; a host that starts more at once has them unnamed, and
/// counted.
const MOST_WAITING: usize = 4_096;

/// Time between two of them, so that a storm of containers is no storm of reads.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a flush waits for the names of containers that talk for the first time. A new name a
/// flush later would be a second application.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

type Question = (u64, ContainerId);
type Answer = (u64, Option<ContainerFacts>);

/// What was asked, and where the answers come from.
#[derive(Debug, Default)]
pub(super) struct Containers {
    worker: Option<Worker>,
    /// Questions without an answer.
    open: usize,
    unasked: u64,
    /// Nobody answers in time: something hangs, and is not waited for again.
    is_slow: bool,
}

#[derive(Debug)]
struct Worker {
    questions: mpsc::SyncSender<Question>,
    answers: mpsc::Receiver<Answer>,
}

impl Containers {
    /// Takes note of a cgroup, and asks what its container is called if it has one.
    pub(super) fn meet(&mut self, root: &'static Path, cgroup: &CgroupSeen) {
        let Some(container) = container_on(&text_of_bytes(&cgroup.path)) else {
            return;
        };
        if self.worker.is_none() {
            self.worker = start(root);
        }
        let asked = self
            .worker
            .as_ref()
            .is_some_and(|worker| worker.questions.try_send((cgroup.id, container)).is_ok());
        if asked {
            self.open += 1;
        } else {
            self.unasked += 1;
        }
    }

    /// What was found out since the last call, by cgroup.
    pub(super) fn told(&mut self) -> Vec<(u64, ContainerFacts)> {
        let mut told = Vec::new();
        let until = Instant::now() + LONGEST_WAIT;
        while self.open > 0 {
            let Some(worker) = &self.worker else { break };
            let wait = if self.is_slow {
                Duration::ZERO
            } else {
                until.saturating_duration_since(Instant::now())
            };
            match worker.answers.recv_timeout(wait) {
                Ok((cgroup, facts)) => {
                    self.open -= 1;
                    told.extend(facts.map(|facts| (cgroup, facts)));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.is_slow = true;
                    return told;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    self.unasked += self.open as u64;
                    self.open = 0;
                    self.worker = None;
                }
            }
        }
        self.is_slow = false;
        told
    }

    /// How many containers were not looked up since the last call.
    pub(super) fn unasked(&mut self) -> u64 {
        std::mem::take(&mut self.unasked)
    }
}

fn start(root: &'static Path) -> Option<Worker> {
    let (questions, asked) = mpsc::sync_channel::<Question>(MOST_WAITING);
    let (answer, answers) = mpsc::channel();
    let answer_all = move || {
        // Files of engines are root's; nothing else is needed here.
        if privileges::give_up(None, privileges::FOR_READING).is_err() {
            return;
        }
        for (cgroup, container) in asked {
            let facts = facts_of_container(root, &container);
            if answer.send((cgroup, facts)).is_err() {
                return;
            }
            thread::sleep(PAUSE);
        }
    };
    let spawned = thread::Builder::new()
        .name("containers".to_owned())
        .spawn(answer_all);
    spawned.is_ok().then_some(Worker { questions, answers })
}
