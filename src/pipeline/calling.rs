//! Which flow a packet with a name is about, and what a flow is called.

use super::{Pipeline, naming::Said};
use crate::model::{BootClock, Endpoint, Payload, Sender};

impl Pipeline {
    pub(super) fn take_payload(&mut self, payload: &Payload, clock: BootClock) {
        let Some((socket, said)) = self.naming.take(payload, clock) else {
            return;
        };
        let naming = &self.naming;
        let call = |known| naming.best_of(said, known);
        let called = self.connections.call(socket, call, clock);
        if let (Some((sender, remote)), Some(name)) = (called, said.name) {
            self.naming.note(&sender, &remote, name, &mut self.makers);
        }
    }

    pub(super) fn said_of(&mut self, sender: &Sender, remote: &Endpoint, clock: BootClock) -> Said {
        self.naming
            .of_contact(sender, remote, &mut self.makers, clock)
    }
}
