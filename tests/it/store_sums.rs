//! Rollups are the sum of the flows.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{collections::BTreeMap, path::Path};

use egress_baseline::{
    model::{Batch, Flow, Outcome, Tally, Ticket, Window},
    store::{ContactQuery, Reader, Recorder, StoreError},
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use tempfile::tempdir;

use crate::support_store::{
    HOUR, NOON, at, flow, flows, made_by, named, number, pending, settled, watch_period,
};

/// What one step of the property below does.
#[derive(Clone, Debug)]
enum Step {
    Plain(u8, u8, bool),
    Pending(u8, u8),
    Settle(u8, bool),
    Retract(u8),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (any::<u8>(), any::<u8>(), any::<bool>())
            .prop_map(|(hour, to, named)| Step::Plain(hour, to, named)),
        (any::<u8>(), any::<u8>()).prop_map(|(hour, to)| Step::Pending(hour, to)),
        (any::<u8>(), any::<bool>()).prop_map(|(which, fails)| Step::Settle(which, fails)),
        any::<u8>().prop_map(Step::Retract),
        Just(Step::Flush),
    ];
    prop::collection::vec(step, 0..60)
}

fn spread(hour: u8, to: u8, with_name: bool) -> Flow {
    let start = NOON + i64::from(hour % 4) * HOUR + i64::from(to);
    let address = format!("192.0.2.{}", to % 3);
    let mut flow = if with_name {
        named(start, "a.example", &address)
    } else {
        flow(start, &address)
    };
    flow.attempts = u64::from(to % 3);
    flow.bytes_in = Some(u64::from(hour));
    flow
}

/// Records what the steps say, a batch for each flush.
fn play(recorder: &mut Recorder, steps: &[Step]) -> Result<(), StoreError> {
    let period = recorder.begin(&watch_period("web-1", NOON))?;
    let mut current = Batch::default();
    let mut waiting: Vec<(u64, u8, u8)> = Vec::new();
    let mut ready = Vec::new();
    let mut next = 0;
    for step in steps {
        match step {
            Step::Plain(hour, to, with_name) => {
                let run = format!("cgroup:{}", to % 2);
                let flow = spread(*hour, *to, *with_name);
                current
                    .flows
                    .push(made_by(flow, "/usr/bin/rsync", 812, Some(&run)));
            }
            Step::Pending(hour, to) => {
                next += 1;
                current.flows.push(pending(spread(*hour, *to, false), next));
                waiting.push((next, *hour, *to));
            }
            Step::Settle(which, fails) if !ready.is_empty() => {
                let (ticket, hour, to) = ready.swap_remove(usize::from(*which) % ready.len());
                let mut flow = spread(hour, to, *fails);
                if *fails {
                    flow.outcome = Outcome::Refused;
                }
                current.flows.push(settled(flow, ticket));
            }
            Step::Retract(which) if !ready.is_empty() => {
                let (ticket, _, _) = ready.swap_remove(usize::from(*which) % ready.len());
                current.retracted.push(Ticket(ticket));
            }
            Step::Settle(..) | Step::Retract(_) => {}
            Step::Flush => {
                recorder.record(period, &std::mem::take(&mut current))?;
                ready.append(&mut waiting);
            }
        }
    }
    recorder.record(period, &current)?;
    Ok(())
}

type Sums = BTreeMap<(i64, String, Outcome), Tally>;

fn sums_of_flows(path: &Path) -> Sums {
    let mut sums = Sums::new();
    for recorded in flows(path) {
        let flow = recorded.flow;
        let to = match &flow.name {
            Some(name) => name.text.clone(),
            None => flow.address.unwrap().to_string(),
        };
        let tally = Tally {
            attempts: flow.attempts,
            bytes_out: flow.bytes_out.unwrap_or(0),
            bytes_in: flow.bytes_in.unwrap_or(0),
        };
        // A connection that was open and silent is a contact; nothing else is one of nothing.
        if tally == Tally::default() && flow.outcome != Outcome::Established {
            continue;
        }
        let sum = sums
            .entry((flow.start.hour().unix_ns(), to, flow.outcome))
            .or_default();
        sum.attempts += tally.attempts;
        sum.bytes_out += tally.bytes_out;
        sum.bytes_in += tally.bytes_in;
    }
    sums
}

/// The same out of the rollups, hour by hour, as reports ask for them.
fn sums_of_contacts(path: &Path) -> Sums {
    let reader = Reader::open(path).unwrap();
    let mut sums = Sums::new();
    for hour in 0..4 {
        let query = ContactQuery {
            window: Window {
                since: Some(at(NOON + hour * HOUR)),
                until: Some(at(NOON + (hour + 1) * HOUR)),
            },
            ..ContactQuery::default()
        };
        for contact in reader.contacts(&query).unwrap() {
            let to = match (&contact.destination.name, contact.destination.address) {
                (Some(name), _) => name.clone(),
                (None, address) => address.unwrap().to_string(),
            };
            for (outcome, tally) in contact.outcomes {
                sums.insert((NOON + hour * HOUR, to.clone(), outcome), tally);
            }
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rollups_are_the_sum_of_the_flows_whatever_is_settled_or_retracted(steps in steps()) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("flows.db");
        play(&mut Recorder::open(&path).unwrap(), &steps).unwrap();
        assert_eq!(sums_of_contacts(&path), sums_of_flows(&path));

        let by_address = "SELECT ifnull(SUM(attempts), 0) FROM name_address";
        let of_named = "SELECT ifnull(SUM(attempts), 0) FROM flows WHERE name IS NOT NULL";
        assert_eq!(number(&path, by_address), number(&path, of_named));
        let by_run = "SELECT ifnull(SUM(attempts), 0) FROM contact_run";
        let of_runs = "SELECT ifnull(SUM(attempts), 0) FROM flows WHERE run IS NOT NULL";
        assert_eq!(number(&path, by_run), number(&path, of_runs));
    }
}
