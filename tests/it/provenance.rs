//! What is known of files that run, from real files and real package databases.
#![expect(
    clippy::unwrap_used,
    reason = "a host that cannot be made fails the test"
)]

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::{Child, Command},
};

use egress_baseline::{
    identity::{
        application_of,
        facts::{ExamineLimits, Examiner, FileQuestion, Stop},
    },
    model::{
        FileFacts, FilePlace, FileRole, NoDigest, Ownership, PackageCheck, ProcessKey, RawIdentity,
    },
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use sha2::{Digest as _, Sha256};

use crate::support_files::{Host, examined, kernel_device, told};

fn sha256_of(content: &[u8]) -> Option<String> {
    let digest = Sha256::digest(content);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Name, version and check of the package.
fn package_of(facts: &FileFacts) -> (&str, &str, PackageCheck) {
    let package = facts
        .package
        .as_ref()
        .unwrap_or_else(|| panic!("{facts:?}"));
    (
        package.name.as_str(),
        package.version.as_deref().unwrap_or("-"),
        package.check,
    )
}

#[test]
fn an_upgrade_by_dpkg_changes_the_provenance_and_not_the_application() {
    let host = Host::with_dpkg();
    let mut examiner = host.examiner();
    let mut told = Vec::new();
    let mut applications = Vec::new();
    for (version, content) in [("1.0-1", "one"), ("1:2.0", "two")] {
        host.install("tool", version, &[("/usr/bin/tool", content)], "");
        let facts = examined(&mut examiner, &host.ran("/usr/bin/tool"));
        assert_eq!(facts.ownership, Ownership::Packaged);
        assert_eq!(facts.sha256, sha256_of(content.as_bytes()));
        assert_eq!(
            package_of(&facts),
            ("tool", version, PackageCheck::Matches),
            "{facts:?}"
        );
        let package = facts.package.clone().unwrap();
        assert_eq!(package.manager, "dpkg");
        assert_eq!(package.architecture.as_deref(), Some("all"));
        applications.push(application_of(&RawIdentity {
            exe: Some(facts.path.clone()),
            ..RawIdentity::default()
        }));
        told.push(facts);
    }
    assert_ne!(told[0], told[1]);
    assert_eq!(applications[0], applications[1]);
}

#[test]
fn a_file_that_was_written_to_is_told_from_what_the_package_put_there() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "honest")], "");
    let mut examiner = host.examiner();
    let before = examined(&mut examiner, &host.ran("/usr/bin/tool"));
    // In place: the same inode, as a careful intruder would have it.
    let mut file = File::create(host.path("/usr/bin/tool")).unwrap();
    file.write_all(b"tampered").unwrap();
    let after = examined(&mut examiner, &host.ran("/usr/bin/tool"));
    assert_eq!(
        (before.inode, before.path),
        (after.inode, after.path.clone())
    );
    assert_eq!(package_of(&after), ("tool", "1.0", PackageCheck::Differs));
    assert_eq!(after.sha256, sha256_of(b"tampered"));
    assert_ne!(before.sha256, after.sha256);
}

#[test]
fn configuration_files_may_differ_and_are_said_to_be_some() {
    let host = Host::with_dpkg();
    let job = "/etc/cron.daily/tool job";
    host.install("tool", "1.0", &[("/usr/bin/sh", "sh"), (job, "run")], "");
    let mut examiner = host.examiner();
    let question = host.interpreted("/usr/bin/sh", job);
    let as_it_came = examined(&mut examiner, &question);
    assert_eq!(
        package_of(&as_it_came),
        ("tool", "1.0", PackageCheck::Conffile)
    );
    host.write(job, b"run --often", 0o755);
    let changed = examined(&mut examiner, &question);
    assert_eq!(
        package_of(&changed),
        ("tool", "1.0", PackageCheck::ConffileChanged)
    );
}

#[test]
fn a_diverted_file_belongs_to_its_package_and_what_took_its_place_to_nobody() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "honest")], "");
    told(
        "dpkg-divert",
        &[
            "--root".as_ref(),
            host.root().as_os_str(),
            "--local".as_ref(),
            "--rename".as_ref(),
            "--divert".as_ref(),
            "/usr/bin/tool.real".as_ref(),
            "--add".as_ref(),
            "/usr/bin/tool".as_ref(),
        ],
    );
    host.write("/usr/bin/tool", b"a wrapper", 0o755);
    let real = host.facts("/usr/bin/tool.real");
    assert_eq!(package_of(&real), ("tool", "1.0", PackageCheck::Matches));
    assert_eq!(host.facts("/usr/bin/tool").ownership, Ownership::Unowned);
}

#[test]
fn a_package_that_diverts_owns_what_it_has_at_the_path() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "plain")], "");
    told(
        "dpkg-divert",
        &[
            "--root".as_ref(),
            host.root().as_os_str(),
            "--package".as_ref(),
            "better".as_ref(),
            "--rename".as_ref(),
            "--divert".as_ref(),
            "/usr/bin/tool.plain".as_ref(),
            "--add".as_ref(),
            "/usr/bin/tool".as_ref(),
        ],
    );
    host.install("better", "3", &[("/usr/bin/tool", "better")], "");
    let facts = host.facts("/usr/bin/tool");
    assert_eq!(package_of(&facts), ("better", "3", PackageCheck::Matches));
    let plain = host.facts("/usr/bin/tool.plain");
    assert_eq!(package_of(&plain), ("tool", "1.0", PackageCheck::Matches));
    // Whatever is in it, it is not the file of the package that moved it away.
    host.write("/usr/bin/tool.plain", b"tampered", 0o755);
    let plain = host.facts("/usr/bin/tool.plain");
    assert_eq!(package_of(&plain), ("tool", "1.0", PackageCheck::Differs));
}

#[test]
fn a_file_that_stays_may_come_to_belong_to_somebody_else() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "honest")], "");
    let mut examiner = host.examiner();
    let question = host.ran("/usr/bin/tool");
    let before = examined(&mut examiner, &question);
    assert_eq!(package_of(&before), ("tool", "1.0", PackageCheck::Matches));
    told(
        "dpkg-divert",
        &[
            "--root".as_ref(),
            host.root().as_os_str(),
            "--local".as_ref(),
            "--no-rename".as_ref(),
            "--divert".as_ref(),
            "/usr/bin/tool.real".as_ref(),
            "--add".as_ref(),
            "/usr/bin/tool".as_ref(),
        ],
    );
    let after = examined(&mut examiner, &question);
    assert_eq!(
        (after.ownership, after.sha256),
        (Ownership::Unowned, before.sha256)
    );
}

#[test]
fn a_file_is_found_under_the_name_that_its_package_has_for_a_merged_directory() {
    let host = Host::with_dpkg();
    fs::create_dir_all(host.path("usr/bin")).unwrap();
    symlink("usr/bin", host.path("bin")).unwrap();
    host.install("shell", "5", &[("/bin/shell", "#")], "");
    let facts = host.facts("/usr/bin/shell");
    assert_eq!(package_of(&facts), ("shell", "5", PackageCheck::Matches));
}

#[test]
fn a_package_of_one_architecture_among_several_is_found_by_it() {
    let host = Host::with_dpkg();
    host.install("lib", "7", &[("/usr/lib/lib/helper", "h")], "");
    // As dpkg has it for `Multi-Arch: same`, of which two may be there.
    let info = host.path("var/lib/dpkg/info");
    for end in ["list", "md5sums"] {
        fs::rename(
            info.join(format!("lib.{end}")),
            info.join(format!("lib:all.{end}")),
        )
        .unwrap();
    }
    let status = host.path("var/lib/dpkg/status");
    let own = fs::read_to_string(&status).unwrap();
    let other = own.replace("Architecture: all", "Architecture: i386");
    let other = other.replace("Version: 7", "Version: 6");
    fs::write(&status, format!("{other}\n{own}")).unwrap();
    let facts = host.facts("/usr/lib/lib/helper");
    assert_eq!(package_of(&facts), ("lib", "7", PackageCheck::Matches));
}

#[test]
fn no_package_no_database_and_an_unreadable_one_are_said_apart() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "honest")], "");
    host.write("/opt/own", b"mine", 0o755);
    assert_eq!(host.facts("/opt/own").ownership, Ownership::Unowned);

    let bare = Host::bare();
    bare.write("/opt/own", b"mine", 0o755);
    assert_eq!(bare.facts("/opt/own").ownership, Ownership::NoDatabase);

    fs::remove_file(host.path("var/lib/dpkg/status")).unwrap();
    fs::create_dir(host.path("var/lib/dpkg/status")).unwrap();
    assert_eq!(
        host.facts("/opt/own").ownership,
        Ownership::DatabaseUnreadable
    );
}

#[test]
fn while_packages_are_being_installed_nothing_is_called_tampered() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "one")], "");
    let mut examiner = host.examiner();
    // As dpkg leaves it between the new file and the new checksums.
    host.write("/usr/bin/tool", b"two", 0o755);
    host.write("/var/lib/dpkg/updates/0001", b"Package: tool\n", 0o644);
    let during = examined(&mut examiner, &host.ran("/usr/bin/tool"));
    assert_eq!(package_of(&during).2, PackageCheck::Unsettled);
    fs::remove_file(host.path("var/lib/dpkg/updates/0001")).unwrap();
    let after = examined(&mut examiner, &host.ran("/usr/bin/tool"));
    assert_eq!(package_of(&after).2, PackageCheck::Differs);
}

#[test]
fn a_database_full_of_nonsense_is_no_reason_to_fail() {
    let host = Host::with_dpkg();
    host.install("tool", "1.0", &[("/usr/bin/tool", "one")], "");
    let info = host.path("var/lib/dpkg/info");
    fs::write(info.join("bad.list"), b"\n\n/usr/bin/tool\n\xff\xfe\n/\n").unwrap();
    fs::write(info.join("bad.md5sums"), b"short\n\xff  usr/bin/tool\n").unwrap();
    fs::write(host.path("var/lib/dpkg/diversions"), b"/a\n/b\n").unwrap();
    let mut status = fs::read(host.path("var/lib/dpkg/status")).unwrap();
    status.extend_from_slice(b"\n\nPackage: \nConffiles:\n x\n  \n\xff: \xff\n");
    fs::write(host.path("var/lib/dpkg/status"), status).unwrap();
    let facts = host.facts("/usr/bin/tool");
    assert_eq!(package_of(&facts), ("tool", "1.0", PackageCheck::Matches));
}

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
