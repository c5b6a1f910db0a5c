//! Whose an event is, without a kernel.

use std::collections::BTreeMap;

use egress_baseline::{
    model::{
        Ancestor, CgroupSeen, ContainerFacts, DatagramCount, Endpoint, ImageFlags, KernelEvent,
        LossCause, Outcome, ProcessImage, ProcessKey, Sender,
    },
    pipeline::{Pipeline, Scope},
};

use crate::support_replay::{SHELL, clock, datagrams, image, pipeline, remote, rows, sender, take};

#[test]
fn one_process_under_two_users_and_in_two_cgroups_is_kept_apart() {
    let mut pipeline = pipeline();
    let cgroup = CgroupSeen {
        id: 8,
        path: b"/system.slice/other.service".to_vec(),
    };
    take(&mut pipeline, KernelEvent::Cgroup(cgroup));
    pipeline.set_accounts(BTreeMap::from([(33, "www-data".to_owned())]));
    let count = datagrams(0, 1);
    for (uid, cgroup_id) in [(1000, 7), (33, 7), (33, 8)] {
        let sender = Sender {
            uid,
            cgroup_id,
            ..count.sender
        };
        take(
            &mut pipeline,
            KernelEvent::Datagrams(DatagramCount {
                sender,
                ..count.clone()
            }),
        );
    }
    let batch = pipeline.flush(clock(100), true);
    let mut makers: Vec<_> = batch
        .flows
        .iter()
        .map(|record| {
            let identity = &record.identity;
            let user = identity.raw.user.as_deref().unwrap_or("-").to_owned();
            (identity.application.context.to_string(), user)
        })
        .collect();
    makers.sort();
    let expected = [
        ("unit:backup.service", "-"),
        ("unit:backup.service", "www-data"),
        ("unit:other.service", "www-data"),
    ];
    assert_eq!(
        makers,
        expected.map(|(context, user)| (context.to_owned(), user.to_owned()))
    );
}

#[test]
fn a_flow_of_a_process_that_was_not_reported_is_kept_and_counted() {
    let mut pipeline = Pipeline::new(Scope::default(), clock(0).now());
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 4)));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(rows(&batch), [(Outcome::Sent, 4, Some(192))]);
    assert_eq!(batch.flows[0].identity.application.program, "(no process)");
    assert_eq!(batch.losses.len(), 1);
    assert_eq!(
        (batch.losses[0].cause, batch.losses[0].count),
        (LossCause::ProcessUnknown, 4)
    );
    assert_eq!(batch.losses[0].until, clock(100).now());
}

#[test]
fn a_contact_is_news_once_however_many_processes_repeat_it() {
    let mut pipeline = pipeline();
    assert!(!pipeline.has_news());
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    assert!(pipeline.has_news());
    pipeline.flush(clock(100), false);
    assert!(!pipeline.has_news());
    let key = ProcessKey { pid: 77, ..SHELL };
    take(
        &mut pipeline,
        KernelEvent::Process(Box::new(image(key, b"/usr/bin/push"))),
    );
    let sender = Sender {
        process: key,
        ..sender()
    };
    take(
        &mut pipeline,
        KernelEvent::Datagrams(DatagramCount {
            sender,
            ..datagrams(0, 1)
        }),
    );
    assert!(!pipeline.has_news());
    let elsewhere = remote("198.51.100.10", 123, 17);
    let count = DatagramCount {
        remote: elsewhere,
        ..datagrams(0, 1)
    };
    take(&mut pipeline, KernelEvent::Datagrams(count));
    assert!(pipeline.has_news());
}

#[test]
fn the_kernels_own_packets_belong_to_no_process() {
    let mut pipeline = pipeline();
    let count = DatagramCount {
        sender: Sender {
            process: ProcessKey::default(),
            ..sender()
        },
        remote: Endpoint {
            port: 0,
            ..remote("198.51.100.9", 0, 1)
        },
        ..datagrams(0, 1)
    };
    take(&mut pipeline, KernelEvent::Datagrams(count));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(
        batch.flows[0].identity.application.to_string(),
        "kernel kernel:icmp"
    );
    assert!(batch.flows[0].process.is_none());
    assert!(batch.losses.is_empty());
}

#[test]
fn the_kernels_icmp_is_one_application_for_both_families() {
    let mut pipeline = pipeline();
    let count = DatagramCount {
        sender: Sender {
            process: ProcessKey::default(),
            ..sender()
        },
        remote: remote("ff02::16", 0, 58),
        ..datagrams(0, 1)
    };
    take(&mut pipeline, KernelEvent::Datagrams(count));
    let batch = pipeline.flush(clock(100), true);
    assert_eq!(
        batch.flows[0].identity.application.to_string(),
        "kernel kernel:icmp"
    );
}

#[test]
fn numbers_of_kernel_workers_make_no_applications() {
    let mut names = Vec::new();
    for (pid, comm) in [
        (50, "kworker/u8:3"),
        (51, "kworker/0:1H"),
        (52, "nfsv4.1-svc"),
    ] {
        let mut pipeline = pipeline();
        let key = ProcessKey { pid, ..SHELL };
        let flags = ImageFlags {
            kernel_thread: true,
            ..ImageFlags::default()
        };
        let image = ProcessImage {
            comm: comm.into(),
            flags,
            ..image(key, b"")
        };
        take(&mut pipeline, KernelEvent::Process(Box::new(image)));
        let sender = Sender {
            process: key,
            ..sender()
        };
        let count = DatagramCount {
            sender,
            ..datagrams(0, 1)
        };
        take(&mut pipeline, KernelEvent::Datagrams(count));
        names.push(
            pipeline.flush(clock(100), true).flows[0]
                .identity
                .application
                .to_string(),
        );
    }
    let expected = [
        "kernel kernel:kworker",
        "kernel kernel:kworker",
        "kernel kernel:nfsv4.1-svc",
    ];
    assert_eq!(names, expected);
}

/// The application of one datagram of a process with these ancestors, in a cgroup of this path.
fn application_of_job(pipeline: &mut Pipeline, path: &str, ancestors: &[&str]) -> String {
    let cgroup = CgroupSeen {
        id: 9,
        path: path.as_bytes().to_vec(),
    };
    take(pipeline, KernelEvent::Cgroup(cgroup));
    let key = ProcessKey { pid: 60, ..SHELL };
    let ancestors = ancestors.iter().zip(1..).map(|(comm, depth)| Ancestor {
        pid: 60 - depth,
        started_boot_ns: 1,
        comm: (*comm).to_owned(),
    });
    let image = ProcessImage {
        cgroup_id: 9,
        ancestors: ancestors.collect(),
        argv: vec![b"sh".to_vec(), b"push.sh".to_vec()],
        directory: b"/srv/shop/releases/20240105123000".to_vec(),
        ..image(key, b"/usr/bin/dash")
    };
    take(pipeline, KernelEvent::Process(Box::new(image)));
    let sender = Sender {
        process: key,
        cgroup_id: 9,
        ..sender()
    };
    let count = DatagramCount {
        sender,
        ..datagrams(0, 1)
    };
    take(pipeline, KernelEvent::Datagrams(count));
    let batch = pipeline.flush(clock(100), true);
    batch.flows[0].identity.application.to_string()
}

#[test]
fn a_job_with_a_session_of_its_own_is_a_job_that_runs_its_script() {
    let mut pipeline = pipeline();
    pipeline.set_accounts(BTreeMap::from([(1000, "alice".to_owned())]));
    let path = "/user.slice/user-1000.slice/session-7.scope";
    assert_eq!(
        application_of_job(&mut pipeline, path, &["crond", "crond", "systemd"]),
        "cron:alice /usr/bin/dash /srv/shop/releases/*/push.sh"
    );
    assert_eq!(
        application_of_job(&mut pipeline, path, &["bash", "sshd", "systemd"]),
        "session:alice /usr/bin/dash /srv/shop/releases/*/push.sh"
    );
}

#[test]
fn a_container_that_is_named_before_the_flush_was_never_another_application() {
    let mut pipeline = pipeline();
    let id = "0123456789ab".repeat(6);
    let path = format!("/system.slice/docker-{}.scope", &id[..64]);
    let cgroup = CgroupSeen {
        id: 7,
        path: path.into_bytes(),
    };
    take(&mut pipeline, KernelEvent::Cgroup(cgroup));
    take(&mut pipeline, KernelEvent::Datagrams(datagrams(0, 1)));
    let facts = ContainerFacts {
        name: Some("proxy".to_owned()),
        ..ContainerFacts::default()
    };
    pipeline.learn_container(7, facts.clone());
    let batch = pipeline.flush(clock(100), true);
    let makers: Vec<_> = batch
        .flows
        .iter()
        .map(|record| record.identity.application.to_string())
        .collect();
    assert_eq!(makers, ["container:docker/proxy /usr/bin/push"]);
    assert_eq!(batch.flows[0].identity.raw.container, Some(facts));
}
