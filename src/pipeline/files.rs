//! Which files the makers of flows ran: examining takes its time, so answers may come after flows.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use crate::model::{
    FileFacts, FileRole, FileUse, FlowRecord, IdentityRecord, Process, ProcessKey, Timestamp,
};

/// Identities of one process whose flows wait for an answer; it has one, and a few more if it changes
/// its user or is moved. Beyond, the latest are left out: the process itself is not.
const MOST_IDENTITIES: usize = 64;

/// Files of a process: known, or expected.
#[derive(Debug, Default)]
struct OfProcess {
    files: Vec<(FileRole, Option<Arc<FileFacts>>)>,
    /// Flows that were handed out while something was expected.
    waiting: Vec<Maker>,
}

/// A maker of flows in a stretch of time.
#[derive(Debug)]
struct Maker {
    process: Arc<Process>,
    identity: Arc<IdentityRecord>,
    first: Timestamp,
    last: Timestamp,
}

/// Files by the processes that ran them.
#[derive(Debug, Default)]
pub(super) struct Files {
    processes: HashMap<ProcessKey, OfProcess, RandomState>,
    /// Uses that were learned after their flows.
    late: Vec<FileUse>,
}

impl Files {
    pub(super) fn expect(&mut self, process: ProcessKey, role: FileRole) {
        let files = &mut self.processes.entry(process).or_default().files;
        files.retain(|(of, _)| *of != role);
        files.push((role, None));
    }

    pub(super) fn learn(&mut self, process: ProcessKey, role: FileRole, file: &Arc<FileFacts>) {
        let Some(known) = self.processes.get_mut(&process) else {
            return;
        };
        known.files.retain(|(of, _)| *of != role);
        let late = known.waiting.iter().map(|maker| maker.uses(role, file));
        self.late.extend(late);
        known.files.push((role, Some(Arc::clone(file))));
        if known.files.iter().all(|(_, file)| file.is_some()) {
            known.waiting = Vec::new();
        }
    }

    pub(super) fn forget(&mut self, processes: &[ProcessKey]) {
        for process in processes {
            self.processes.remove(process);
        }
    }

    /// The files behind these flows, and behind earlier ones that were learned of since.
    pub(super) fn uses_of(&mut self, flows: &[FlowRecord]) -> Vec<FileUse> {
        let mut uses = std::mem::take(&mut self.late);
        if self.processes.is_empty() {
            return uses;
        }
        for maker in makers_of(flows) {
            let known = maker
                .process
                .key
                .and_then(|key| self.processes.get_mut(&key));
            let Some(known) = known else { continue };
            let found = known.files.iter().filter_map(|(role, file)| {
                let file = file.as_ref()?;
                Some(maker.uses(*role, file))
            });
            uses.extend(found);
            if known.files.iter().any(|(_, file)| file.is_none()) {
                known.wait(maker);
            }
        }
        uses
    }
}

impl OfProcess {
    fn wait(&mut self, maker: Maker) {
        for known in &mut self.waiting {
            if *known.identity == *maker.identity {
                known.first = known.first.min(maker.first);
                known.last = known.last.max(maker.last);
                return;
            }
        }
        if self.waiting.len() < MOST_IDENTITIES {
            self.waiting.push(maker);
        }
    }
}

impl Maker {
    fn uses(&self, role: FileRole, file: &Arc<FileFacts>) -> FileUse {
        FileUse {
            file: Arc::clone(file),
            role,
            identity: Arc::clone(&self.identity),
            process: Arc::clone(&self.process),
            first: self.first,
            last: self.last,
        }
    }
}

/// The makers of flows that are processes, each once.
fn makers_of(flows: &[FlowRecord]) -> Vec<Maker> {
    let mut makers: Vec<Maker> = Vec::new();
    let mut places =
        HashMap::<(*const Process, *const IdentityRecord), usize, RandomState>::default();
    for record in flows {
        let Some(process) = &record.process else {
            continue;
        };
        let (first, last) = (
            record.flow.start,
            record.flow.end.unwrap_or(record.flow.start),
        );
        let place = (Arc::as_ptr(process), Arc::as_ptr(&record.identity));
        let at = *places.entry(place).or_insert(makers.len());
        match makers.get_mut(at) {
            Some(maker) => {
                maker.first = maker.first.min(first);
                maker.last = maker.last.max(last);
            }
            None => makers.push(Maker {
                process: Arc::clone(process),
                identity: Arc::clone(&record.identity),
                first,
                last,
            }),
        }
    }
    makers
}
