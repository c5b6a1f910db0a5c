//! What is to be asked of the host between flushes, and what it answered.

use std::sync::Arc;

use super::Pipeline;
use crate::model::{BootClock, Connect, FileFacts, FileRole, ProcessKey};

impl Pipeline {
    /// The connects whose outcome is not known: asking the kernel for each, and telling the answer
    /// as a [`crate::model::KernelEvent::ConnectionEnd`], gives the next flush less to call pending. With them some
    /// connections of which nothing was heard on this UTC day: the answer counts them on it.
    pub fn open_connects(&mut self, clock: BootClock) -> Vec<Connect> {
        self.connections.take_questions(clock.now())
    }

    /// Whether the kernel is to be asked now what open connections have carried: at each flush, unless
    /// there are so many that this would cost too much.
    pub fn is_look_due(&mut self, clock: BootClock) -> bool {
        self.connections.is_look_due(clock.boot_ns())
    }

    /// The kernel does not know this connection any more, and its end was not reported.
    pub fn lost_track_of(&mut self, connect: &Connect, clock: BootClock) {
        let told_by = *self.clock.get_or_insert(clock);
        let now = BootClock::new(clock.boot_ns(), told_by.at(clock.boot_ns()));
        let told = self.connections.lost_track_of(connect, now);
        self.add_told(told);
    }

    /// A file of this process is being examined: what was found out is to come.
    pub fn expect_file(&mut self, process: ProcessKey, role: FileRole) {
        self.files.expect(process, role);
    }

    /// What was found out of a file that a process ran.
    pub fn learn_file(&mut self, process: ProcessKey, role: FileRole, file: Arc<FileFacts>) {
        self.files.learn(process, role, &file);
    }
}
