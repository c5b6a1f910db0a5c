//! What tells one run of an application from the next.

use crate::model::{Ancestor, Context, ProcessKey};

/// Short names of the daemons that start jobs at set times.
const JOB_DAEMONS: [&str; 5] = ["anacron", "atd", "cron", "crond", "fcron"];

/// As many ancestors as the kernel side reports; a longer chain is cut.
const LONGEST_CHAIN: usize = 8;

/// The run that a process belongs to, or `None` where runs cannot be told apart.
///
/// A start of a unit or container is a cgroup of its own, so `cgroup:ID@BOOT`; a job of cron or at
/// is what its daemon started, so `cron:PID@START@BOOT`. Cgroup ids and start times are the kernel's
/// since boot, hence the boot id in both.
pub fn run_of(
    context: &Context,
    cgroup_id: Option<u64>,
    boot_id: Option<&str>,
    key: Option<ProcessKey>,
    ancestors: &[Ancestor],
) -> Option<String> {
    let boot_id = boot_id?;
    if context.is_job() {
        let (pid, started) = job_of(key?, ancestors)?;
        return Some(format!("cron:{pid}@{started}@{boot_id}"));
    }
    let is_started_in_a_cgroup = context.is_container()
        || context.as_str().starts_with("unit:")
        || context.as_str().starts_with("user-unit:");
    match cgroup_id {
        Some(id) if id != 0 && is_started_in_a_cgroup => Some(format!("cgroup:{id}@{boot_id}")),
        _ => None,
    }
}

/// The daemon among the ancestors that starts jobs at set times: the topmost that bears such a name,
/// as that of the job's own process is no proof.
pub fn job_daemon_of(ancestors: &[Ancestor]) -> Option<&str> {
    topmost_daemon(ancestors).map(|daemon| ancestors[daemon].comm.as_str())
}

fn topmost_daemon(ancestors: &[Ancestor]) -> Option<usize> {
    ancestors
        .iter()
        .rposition(|ancestor| JOB_DAEMONS.contains(&ancestor.comm.as_str()))
}

/// The process that the daemon forked for the job: the one below the topmost ancestor that is
/// called like a cron daemon. The fork itself still bears the daemon's name, and a job may name
/// itself so; neither is topmost.
fn job_of(key: ProcessKey, ancestors: &[Ancestor]) -> Option<(u32, u64)> {
    let daemon = topmost_daemon(ancestors)?;
    match daemon.checked_sub(1).map(|below| &ancestors[below]) {
        None => Some((key.pid, key.started_boot_ns)),
        // Where the chain was cut, only a fork below it proves that this is the daemon.
        Some(job) if daemon + 1 >= LONGEST_CHAIN && !JOB_DAEMONS.contains(&job.comm.as_str()) => {
            None
        }
        Some(job) => Some((job.pid, job.started_boot_ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::{job_daemon_of, run_of};
    use crate::model::{Ancestor, Context, ProcessKey};

    const KEY: ProcessKey = ProcessKey {
        pid: 900,
        started_boot_ns: 9_000,
        exec_id: 4,
    };

    fn chain(comms: &[&str]) -> Vec<Ancestor> {
        (1..)
            .zip(comms)
            .map(|(depth, comm)| Ancestor {
                pid: 900 - depth,
                started_boot_ns: u64::from(9_000 - 1_000 * depth),
                comm: (*comm).to_owned(),
            })
            .collect()
    }

    fn run(context: &str, ancestors: &[&str]) -> Option<String> {
        let ancestors = chain(ancestors);
        run_of(
            &Context::new(context),
            Some(4711),
            Some("b00t"),
            Some(KEY),
            &ancestors,
        )
    }

    #[test]
    fn a_start_of_a_unit_or_container_is_a_run() {
        for context in [
            "unit:backup.service",
            "user-unit:alice:sync.service",
            "container:docker/0123456789ab",
            "pod:shop/web/nginx",
        ] {
            assert_eq!(
                run(context, &["systemd"]).as_deref(),
                Some("cgroup:4711@b00t"),
                "{context}"
            );
        }
    }

    #[test]
    fn sessions_the_kernel_and_what_is_unknown_have_no_runs() {
        for context in [
            "session:alice",
            "kernel",
            "none",
            "something an import said",
        ] {
            assert_eq!(run(context, &["bash", "sshd"]), None, "{context}");
        }
    }

    #[test]
    fn a_cron_job_is_what_the_daemon_forked() {
        // curl ← sh ← the fork of the daemon ← the daemon ← init
        let job = run("cron:root", &["sh", "cron", "cron", "systemd"]);
        assert_eq!(job.as_deref(), Some("cron:898@7000@b00t"));
        // busybox: the shell stands directly below the daemon
        let job = run("cron:root", &["sh", "crond", "init"]);
        assert_eq!(job.as_deref(), Some("cron:899@8000@b00t"));
        let job = run("cron:root", &["crond", "init"]);
        assert_eq!(job.as_deref(), Some("cron:900@9000@b00t"));
    }

    #[test]
    fn a_job_that_calls_itself_cron_stays_one_run() {
        let job = run("cron:bob", &["cron", "sh", "cron", "cron", "systemd"]);
        assert_eq!(job.as_deref(), Some("cron:897@6000@b00t"));
    }

    #[test]
    fn a_job_of_at_is_what_its_daemon_forked() {
        let job = run("at:alice", &["sh", "atd", "atd", "systemd"]);
        assert_eq!(job.as_deref(), Some("cron:898@7000@b00t"));
    }

    #[test]
    fn the_daemon_of_a_job_is_found_among_the_ancestors() {
        let found = |comms: &[&str]| job_daemon_of(&chain(comms)).map(str::to_owned);
        assert_eq!(
            found(&["sh", "cron", "crond", "systemd"]).as_deref(),
            Some("crond")
        );
        assert_eq!(found(&["bash", "sshd", "systemd"]), None);
    }

    #[test]
    fn a_chain_that_was_cut_below_the_daemon_names_no_run() {
        let deep = ["a", "b", "c", "d", "e", "f", "sh", "cron"];
        assert_eq!(run("cron:bob", &deep), None);
        let proven = ["a", "b", "c", "d", "e", "f", "cron", "cron"];
        assert_eq!(
            run("cron:bob", &proven).as_deref(),
            Some("cron:893@2000@b00t")
        );
        assert_eq!(run("cron:bob", &["a", "b"]), None);
    }

    #[test]
    fn runs_of_an_unknown_boot_are_not_told_apart() {
        let context = Context::new("unit:a.service");
        assert_eq!(run_of(&context, Some(1), None, Some(KEY), &[]), None);
    }
}
