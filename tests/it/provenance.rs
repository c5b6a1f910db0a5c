//! Whose a file that runs is, from real package databases of dpkg.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
};

use egress_baseline::{
    identity::application_of,
    model::{Ownership, PackageCheck, RawIdentity},
};

use crate::support_files::{Host, examined, package_of, sha256_of, told};

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
