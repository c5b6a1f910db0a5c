//! Files of processes meet their flows, whichever comes first.

use std::sync::Arc;

use egress_baseline::model::{FileFacts, FileRole, KernelEvent, ProcessKey};

use crate::support_replay::{SHELL, clock, datagrams, image, pipeline, take};

fn file(version: &str) -> Arc<FileFacts> {
    Arc::new(FileFacts {
        path: "/usr/bin/push".to_owned(),
        sha256: Some(version.to_owned()),
        ..FileFacts::default()
    })
}

/// Role, digest and application of the uses in a batch, with the seconds from first to last.
fn uses(batch: &egress_baseline::model::Batch) -> Vec<String> {
    batch
        .files
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one.role.word(),
                one.file.sha256.as_deref().unwrap_or("-"),
                one.identity.application
            )
        })
        .collect()
}

const PUSH: &str = "unit:backup.service /usr/bin/push";

#[test]
fn a_file_that_is_known_in_time_goes_with_its_flows() {
    let mut pipeline = pipeline();
    pipeline.expect_file(SHELL, FileRole::Executable);
    pipeline.learn_file(SHELL, FileRole::Executable, file("one"));
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    let batch = pipeline.flush(clock(100), false);
    assert_eq!(uses(&batch), [format!("executable one {PUSH}")]);
    // Without flows there is no use.
    assert_eq!(uses(&pipeline.flush(clock(110), false)), [""; 0]);
}

#[test]
fn a_file_that_is_known_later_is_tied_to_the_flows_that_went_before() {
    let mut pipeline = pipeline();
    pipeline.expect_file(SHELL, FileRole::Executable);
    pipeline.expect_file(SHELL, FileRole::Script);
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    let early = pipeline.flush(clock(100), false);
    assert_eq!(uses(&early), [""; 0]);
    pipeline.learn_file(SHELL, FileRole::Script, file("script"));
    assert_eq!(
        uses(&pipeline.flush(clock(110), false)),
        [format!("script script {PUSH}")]
    );
    pipeline.learn_file(SHELL, FileRole::Executable, file("one"));
    let late = pipeline.flush(clock(120), true);
    assert_eq!(uses(&late), [format!("executable one {PUSH}")]);
    let flow = &early.flows[0].flow;
    assert_eq!(
        (late.files[0].first, late.files[0].last),
        (flow.start, flow.end.unwrap_or(flow.start))
    );
}

#[test]
fn two_images_of_one_path_keep_their_own_files_and_are_one_application() {
    let mut pipeline = pipeline();
    let after_upgrade = ProcessKey {
        exec_id: SHELL.exec_id + 1,
        ..SHELL
    };
    let next = image(after_upgrade, b"/usr/bin/push");
    take(&mut pipeline, KernelEvent::Process(Box::new(next)));
    for (key, version) in [(SHELL, "one"), (after_upgrade, "two")] {
        pipeline.expect_file(key, FileRole::Executable);
        pipeline.learn_file(key, FileRole::Executable, file(version));
        let mut count = datagrams(0, 1);
        count.sender.process = key;
        take(&mut pipeline, KernelEvent::Datagrams(count));
    }
    let mut told = uses(&pipeline.flush(clock(100), true));
    told.sort();
    assert_eq!(
        told,
        [
            format!("executable one {PUSH}"),
            format!("executable two {PUSH}")
        ]
    );
}

#[test]
fn what_nobody_asked_for_is_no_use() {
    let mut pipeline = pipeline();
    pipeline.learn_file(SHELL, FileRole::Executable, file("one"));
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    assert_eq!(uses(&pipeline.flush(clock(100), true)), [""; 0]);
}
