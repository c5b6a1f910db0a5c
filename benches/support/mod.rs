//! What the benches share: a table of figures and goals, repeated measurement, and made-up hosts.
#![expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each bench takes what it needs, and a bench that cannot run must say so loudly"
)]

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use egress_baseline::model::{
    Application, Context, Executable, Flow, FlowRecord, IdentityRecord, Outcome, Process,
    ProcessKey, Protocol, RawIdentity, Timestamp, WatchKind, WatchPeriod,
};

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2026-10-01T00:00:00Z.
pub(crate) const START: i64 = 1_790_812_800 * SECOND;

/// Prints one line of the table.
pub(crate) fn line(what: &str, figure: &str, goal: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what:<58} {figure:>22}   {goal}").unwrap();
}

/// Prints the head of the table.
pub(crate) fn head(title: &str) {
    line(title, "figure", "goal");
}

/// What this thread has had of a core so far. Other load on the machine makes it longer by what it
/// takes from the caches, but not by what it takes of the core.
pub(crate) fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// Runs `work` `times` times and returns how much of a core each took, least first. The first run warms
/// up and does not count.
pub(crate) fn measure(times: usize, mut work: impl FnMut()) -> Vec<Duration> {
    work();
    let mut all: Vec<Duration> = (0..times)
        .map(|_| {
            let start = core_time();
            work();
            core_time() - start
        })
        .collect();
    all.sort_unstable();
    all
}

/// The middle one of durations in order.
pub(crate) fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

/// Things a second.
pub(crate) fn rate(count: usize, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
    let count = count as f64;
    count / time.as_secs_f64()
}

/// `1234567` as `1 234 567`.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Numbers that look random and are the same in every run (xorshift).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }
}

/// The application with this number: every fifth starts anew each hour, the others run for weeks.
pub(crate) fn identity(application: usize, run: usize) -> Arc<IdentityRecord> {
    let name = format!("service-{application:03}");
    let program = format!("/usr/lib/{name}/{name}");
    Arc::new(IdentityRecord {
        raw: RawIdentity {
            host: "web-1".to_owned(),
            exe: Some(program.clone()),
            cgroup_path: Some(format!("/system.slice/{name}.service")),
            uid: Some(900 + u32::try_from(application).unwrap()),
            user: Some(name.clone()),
            ..RawIdentity::default()
        },
        application: Application {
            context: Context::new(format!("unit:{name}.service")),
            program,
            script: None,
        },
        run: Some(format!("{name}/{run}")),
    })
}

pub(crate) fn process(application: usize, number: usize) -> Arc<Process> {
    let pid = u32::try_from(1_000 + number).unwrap();
    let path = format!("/usr/lib/service-{application:03}/service-{application:03}");
    Arc::new(Process {
        host: "web-1".to_owned(),
        key: Some(ProcessKey {
            pid,
            started_boot_ns: 5_000_000_000 + u64::from(pid) * 1_000_003,
            exec_id: 3,
        }),
        boot_id: Some("6e7a2a4e-4b1c-4f6e-8f5b-0d8c4b2f1a3e".to_owned()),
        pid: Some(pid),
        ppid: Some(1),
        exe: Some(Executable {
            path: path.clone(),
            device: Some(8 << 20),
            inode: Some(1_311_768),
            ..Executable::default()
        }),
        argv: Some(vec![path.clone(), "--foreground".to_owned()]),
        cmdline: Some(format!("{path} --foreground")),
        ..Process::default()
    })
}

/// The address with this number.
pub(crate) fn address(destination: usize) -> IpAddr {
    let number = u32::try_from(destination).unwrap();
    IpAddr::V4(Ipv4Addr::from(0xcb00_0000 | number))
}

/// An established connection.
pub(crate) fn flow(application: usize, destination: usize, start: i64, dice: &mut Dice) -> Flow {
    let length = 1_000_000 + dice.below(4_000_000_000);
    Flow {
        flow_id: None,
        start: Timestamp::from_unix_ns(start),
        end: Some(Timestamp::from_unix_ns(start + length as i64)),
        socket_uid: Some(900 + u32::try_from(application).unwrap()),
        socket_cgroup: Some(format!("/system.slice/service-{application:03}.service")),
        network_namespace: Some(4_026_531_840),
        source_port: Some(u16::try_from(32_768 + dice.below(28_232)).unwrap()),
        address: Some(address(destination)),
        port: Some(443),
        protocol: Protocol::TCP,
        name: None,
        opening: None,
        outcome: Outcome::Established,
        errno: None,
        state: None,
        attempts: 1,
        bytes_out: Some(200 + dice.next() % 3_000),
        bytes_in: Some(1_000 + dice.next() % 60_000),
        duration: Some(Duration::from_nanos(length as u64)),
    }
}

pub(crate) fn record(
    flow: Flow,
    process: &Arc<Process>,
    identity: &Arc<IdentityRecord>,
) -> FlowRecord {
    FlowRecord {
        flow,
        process: Some(Arc::clone(process)),
        identity: Arc::clone(identity),
        ticket: None,
        settles: None,
    }
}

pub(crate) fn watch_period(started: i64) -> WatchPeriod {
    WatchPeriod {
        kind: WatchKind::Observe,
        host: "web-1".to_owned(),
        boot_id: Some("6e7a2a4e-4b1c-4f6e-8f5b-0d8c4b2f1a3e".to_owned()),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        backend: Some("kprobe".to_owned()),
        backend_failures: Vec::new(),
        blind_spots: Vec::new(),
        settings: serde_json::json!({}),
        source: None,
        started: Timestamp::from_unix_ns(started),
        covered_until: Timestamp::from_unix_ns(started),
        ended: None,
    }
}
