//! Files that run: which one it is, where it lies, and what reading it costs.
#![expect(
    clippy::unwrap_used,
    reason = "a host that cannot be made fails the test"
)]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::{Child, Command},
};

use egress_baseline::{
    identity::facts::{ExamineLimits, Examiner, FileQuestion, Stop},
    model::{FilePlace, FileRole, NoDigest, Ownership, PackageCheck, ProcessKey},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support_files::{Host, examined, kernel_device, package_of, sha256_of, told};

/// A program of this machine that runs until it is dropped.
struct Running(Child);

impl Running {
    fn start(program: &Path) -> Self {
        Self(Command::new(program).arg("1000").spawn().unwrap())
    }

    fn question(&self, path: &str) -> FileQuestion {
        let exe = format!("/proc/{}/exe", self.0.id());
        // Until then it is this test.
        while fs::read(format!("/proc/{}/cmdline", self.0.id()))
            .unwrap()
            .split(|byte| *byte == 0)
            .nth(1)
            != Some(b"1000")
        {
            std::thread::yield_now();
        }
        let file = fs::metadata(exe).unwrap();
        FileQuestion {
            process: ProcessKey {
                pid: self.0.id(),
                ..ProcessKey::default()
            },
            role: FileRole::Executable,
            path: path.to_owned(),
            exe_device: kernel_device(file.dev()),
            exe_inode: file.ino(),
            is_elsewhere: false,
            is_foreign: false,
            is_nameless: false,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn of_this_machine() -> Examiner {
    Examiner::of_host(Path::new("/"), "gate", ExamineLimits::default())
}

#[test]
fn a_program_of_this_machine_is_what_its_own_package_manager_says() {
    let sleep = fs::canonicalize("/usr/bin/sleep").unwrap();
    let running = Running::start(&sleep);
    let question = running.question(sleep.to_str().unwrap());
    let facts = examined(&mut of_this_machine(), &question);
    let version = told(
        "dpkg-query",
        &["-W".as_ref(), "-f${Version}".as_ref(), "coreutils".as_ref()],
    );
    assert_eq!(
        package_of(&facts),
        ("coreutils", version.as_str(), PackageCheck::Matches)
    );
    assert_eq!(facts.sha256, sha256_of(&fs::read(sleep).unwrap()));
}

#[test]
fn the_file_that_ran_is_read_although_another_has_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("sleeper");
    fs::copy("/usr/bin/sleep", &program).unwrap();
    let running = Running::start(&program);
    let question = running.question(program.to_str().unwrap());
    let content = fs::read(&program).unwrap();
    fs::remove_file(&program).unwrap();
    fs::write(&program, "something else").unwrap();
    let facts = examined(&mut of_this_machine(), &question);
    assert_eq!(facts.sha256, sha256_of(&content));
    assert_eq!(facts.ownership, Ownership::NoName);
    drop(running);
    // Nobody runs it any more: what has its name is not it.
    let facts = examined(&mut of_this_machine(), &question);
    assert_eq!(facts.no_sha256, Some(NoDigest::Gone));
    assert_eq!((facts.sha256, facts.ownership), (None, Ownership::Gone));
}

#[test]
fn a_file_of_another_mount_namespace_is_never_compared_with_the_hosts_packages() {
    let host = Host::with_dpkg();
    host.install("apt", "2.6", &[("/usr/bin/apt", "honest")], "");
    let question = FileQuestion {
        is_elsewhere: true,
        is_foreign: true,
        ..host.ran("/usr/bin/apt")
    };
    let facts = examined(&mut host.examiner(), &question);
    assert_eq!(facts.ownership, Ownership::OtherNamespace);
    assert_eq!(facts.package, None);
    // Of a script there, the host's file of that path says nothing either.
    let script = FileQuestion {
        role: FileRole::Script,
        ..question
    };
    let facts = examined(&mut host.examiner(), &script);
    assert_eq!(facts.ownership, Ownership::OtherNamespace);
    assert_eq!(facts.sha256, None);
}

#[test]
fn links_are_followed_to_the_script_and_told() {
    let host = Host::with_dpkg();
    host.install(
        "tool",
        "1.0",
        &[("/usr/bin/python3", "p"), ("/usr/share/tool/main.py", "m")],
        "",
    );
    symlink("../share/tool/main.py", host.path("usr/bin/tool")).unwrap();
    symlink("/usr/bin/tool", host.path("usr/bin/again")).unwrap();
    symlink("loop", host.path("usr/bin/loop")).unwrap();
    let mut examiner = host.examiner();
    let facts = examined(
        &mut examiner,
        &host.interpreted("/usr/bin/python3", "/usr/bin/again"),
    );
    assert_eq!(facts.path, "/usr/bin/again");
    assert_eq!(
        facts.resolved_path.as_deref(),
        Some("/usr/share/tool/main.py")
    );
    assert_eq!(package_of(&facts), ("tool", "1.0", PackageCheck::Matches));
    // A root is not left by `..`, and a loop ends.
    for path in [
        "/usr/bin/loop",
        "/../../../../etc/passwd",
        "/usr/bin/python3/x",
    ] {
        let facts = examined(&mut examiner, &host.interpreted("/usr/bin/python3", path));
        assert_eq!(facts.no_sha256, Some(NoDigest::Gone), "{path}");
    }
}

#[test]
fn what_is_no_plain_file_is_never_opened_to_be_read() {
    let host = Host::with_dpkg();
    host.write("/usr/bin/sh", b"sh", 0o755);
    let pipe = host.path("usr/bin/pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let facts = examined(
        &mut host.examiner(),
        &host.interpreted("/usr/bin/sh", "/usr/bin/pipe"),
    );
    assert_eq!(facts.no_sha256, Some(NoDigest::Irregular));
}

#[test]
fn places_that_everybody_may_write_to_are_told() {
    let host = Host::bare();
    host.write(
        "/etc/passwd",
        b"alice:x:1000:1000::/srv/alice:/bin/sh\nd:x:2:2::/usr/sbin:/\n",
        0o644,
    );
    host.write("/opt/tool/bin/tool", b"t", 0o755);
    host.write("/opt/tool/bin/loose", b"t", 0o757);
    host.write("/srv/alice/bin/own", b"t", 0o755);
    host.write("/usr/sbin/daemon", b"t", 0o755);
    host.write("/var/tmp/x/dropped", b"t", 0o4755);
    host.write("/home/bob/run", b"t", 0o2755);
    let open = |path: &str, mode: u32| {
        fs::set_permissions(host.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    open("/var/tmp", 0o1777);
    let place = |path: &str| {
        let facts = host.facts(path);
        (facts.place, facts.writable_by_all)
    };
    assert_eq!(place("/opt/tool/bin/tool"), (None, None));
    open("/opt/tool", 0o777);
    let loose = |path: &str| (None, Some(path.to_owned()));
    assert_eq!(place("/opt/tool/bin/tool"), loose("/opt/tool"));
    assert_eq!(place("/opt/tool/bin/loose"), loose("/opt/tool/bin/loose"));
    open("/opt/tool", 0o1777);
    assert_eq!(place("/opt/tool/bin/tool"), (None, None));
    assert_eq!(place("/srv/alice/bin/own"), (Some(FilePlace::Home), None));
    assert_eq!(place("/home/bob/run"), (Some(FilePlace::Home), None));
    assert_eq!(place("/usr/sbin/daemon"), (None, None));
    assert_eq!(
        place("/var/tmp/x/dropped"),
        (Some(FilePlace::Temporary), None)
    );
    let dropped = host.facts("/var/tmp/x/dropped");
    assert!(dropped.is_setuid() && !dropped.is_setgid());
    assert!(host.facts("/home/bob/run").is_setgid());
}

#[test]
fn reading_has_bounds_and_ends_when_it_is_told_to() {
    let host = Host::bare();
    host.write("/opt/large", &[0; 4_097], 0o755);
    host.write("/opt/small", &[0; 4_096], 0o755);
    let limits = ExamineLimits {
        largest_file: 4_096,
        bytes_per_second: u64::MAX,
        waiting: 1,
    };
    let mut examiner = host.examiner_with(limits);
    let large = examined(&mut examiner, &host.ran("/opt/large"));
    assert_eq!(large.no_sha256, Some(NoDigest::TooLarge));
    assert_eq!(large.size, Some(4_097));
    let stop = Stop::default();
    stop.tell();
    let question = host.ran("/opt/small");
    let stopped = examiner.examine(&question, &stop);
    assert_eq!(stopped.no_sha256, Some(NoDigest::Stopped));
    // What was not read then is read when there is time.
    let read = examined(&mut examiner, &question);
    assert_eq!(read.sha256, sha256_of(&[0; 4_096]));
}

#[test]
fn a_large_file_keeps_no_small_one_waiting_and_who_asks_for_the_same_is_told_with_it() {
    let host = Host::bare();
    host.write("/opt/large", &[1; 1 << 20], 0o755);
    host.write("/opt/small", b"small", 0o755);
    let mut examiner = host.examiner();
    let stop = Stop::default();
    let large = host.ran("/opt/large");
    let again = FileQuestion {
        process: ProcessKey {
            exec_id: 7,
            ..large.process
        },
        ..large.clone()
    };
    for question in [large, again, host.ran("/opt/small")] {
        assert_eq!(examiner.take(question, &stop), []);
    }
    // Removed while it waits: it was opened before.
    fs::remove_file(host.path("/opt/small")).unwrap();
    let mut told = Vec::new();
    let mut steps = 0;
    while examiner.is_reading() {
        steps += 1;
        let answers = examiner.go_on(&stop);
        // It is read in one step, and found to end in another.
        assert_eq!(steps <= 1, told.is_empty() && answers.is_empty());
        told.extend(answers.into_iter().map(|(question, facts)| {
            let name = question.path.trim_start_matches("/opt/").to_owned();
            (name, question.process.exec_id, facts.sha256.is_some())
        }));
    }
    let expected = [("small", 0, true), ("large", 0, true), ("large", 7, true)];
    assert_eq!(
        told,
        expected.map(|(name, exec, is_read)| (name.to_owned(), exec, is_read))
    );
}

#[test]
fn a_name_as_hostile_as_it_comes_is_kept_as_it_is() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "t")], "");
    let name = "/opt/two\nlines\u{1b}[31m \u{202e}evil";
    host.write(name, b"x", 0o755);
    let facts = host.facts(name);
    assert_eq!(
        (facts.path.as_str(), facts.ownership),
        (name, Ownership::Unowned)
    );
}
