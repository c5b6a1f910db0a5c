//! The databases of apk and rpm.
#![expect(
    clippy::unwrap_used,
    reason = "a database that cannot be made fails the test"
)]

use std::{ffi::OsStr, fs, path::Path};

use egress_baseline::{
    identity::facts::{Checksums, Owner, Packages},
    model::{Ownership, Package, PackageCheck},
};
use sha2::{Digest as _, Sha256};

use crate::support_files::{Host, told};

/// As apk 2.14 writes it: a file with an owner of its own, one in the root, a configuration file.
/// `hello\n` and `changed\n` are what the checksums are of.
const INSTALLED: &str = "\
C:Q1QOAk0Pb8h+1SIkJxS06GXfmWyA0=
P:alpine-baselayout
V:3.4.3-r2
A:x86_64
F:etc
R:profile
Z:Q19XLTlvrpIGYocU+yzgD3LpTyJY8=
F:
R:init
a:0:0:755
Z:Q19XLTlvrpIGYocU+yzgD3LpTyJY8=

C:Q1ZVrnRj2Y5ciGCFkB2e2nZDjHCGY=
P:busybox
V:1.36.1-r15
A:x86_64
F:bin
R:busybox
a:0:0:755
Z:Q19XLTlvrpIGYocU+yzgD3LpTyJY8=
R:unsummed
F:usr
F:usr/bin
R:later
Z:Q2AAAA

";

const HELLO_SHA1: &str = "f572d396fae9206628714fb2ce00f72e94f2258f";
const OTHER_SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

fn of_apk(packages: &mut Packages, path: &str, sha1: Option<&str>) -> Owner {
    let sums = Checksums {
        sha1,
        ..Checksums::default()
    };
    packages.owner_of(path.as_bytes(), &sums)
}

fn package(name: &str, version: &str, check: PackageCheck) -> Owner {
    Owner::Package(Package {
        manager: "apk".to_owned(),
        name: name.to_owned(),
        version: Some(version.to_owned()),
        architecture: Some("x86_64".to_owned()),
        check,
    })
}

#[test]
fn apk_has_its_database_as_text() {
    for place in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        let host = Host::bare();
        host.write(place, INSTALLED.as_bytes(), 0o644);
        let mut packages = Packages::of_host(host.root());
        let mut of = |path: &str, sha1| of_apk(&mut packages, path, sha1);
        let busybox = |check| package("busybox", "1.36.1-r15", check);
        let base = |check| package("alpine-baselayout", "3.4.3-r2", check);
        let hello = Some(HELLO_SHA1);
        assert_eq!(of("/bin/busybox", hello), busybox(PackageCheck::Matches));
        assert_eq!(
            of("/bin/busybox", Some(OTHER_SHA1)),
            busybox(PackageCheck::Differs)
        );
        assert_eq!(of("/bin/busybox", None), busybox(PackageCheck::Unread));
        assert_eq!(of("/bin/unsummed", hello), busybox(PackageCheck::NotListed));
        assert_eq!(
            of("/usr/bin/later", hello),
            busybox(PackageCheck::NotListed)
        );
        assert_eq!(of("/init", hello), base(PackageCheck::Matches));
        assert_eq!(of("/etc/profile", hello), base(PackageCheck::Conffile));
        assert_eq!(
            of("/etc/profile", Some(OTHER_SHA1)),
            base(PackageCheck::ConffileChanged)
        );
        assert_eq!(of("/bin/unheard-of", hello), Owner::Nobody);
    }
}

#[test]
fn a_file_of_apk_is_examined_from_its_content() {
    let host = Host::bare();
    host.write("lib/apk/db/installed", INSTALLED.as_bytes(), 0o644);
    host.write("bin/busybox", b"hello\n", 0o755);
    let facts = host.facts("/bin/busybox");
    assert_eq!(facts.ownership, Ownership::Packaged);
    assert_eq!(facts.package.unwrap().check, PackageCheck::Matches);
}

/// Builds a package with rpm's own tools and notes it as installed in a database of its own.
fn installed_by_rpm(place: &Path, path: &Path, configuration: &Path) {
    let spec = place.join("tool.spec");
    let (path, configuration) = (path.display(), configuration.display());
    let text = format!(
        "Name: tool\nVersion: 1.2\nRelease: 3\nEpoch: 4\nSummary: s\nLicense: none\n\
         BuildArch: noarch\n%description\nd\n%install\n\
         mkdir -p $(dirname %{{buildroot}}{path})\nprintf hello > %{{buildroot}}{path}\n\
         printf setting > %{{buildroot}}{configuration}\n\
         %files\n{path}\n%config {configuration}\n"
    );
    fs::write(&spec, text).unwrap();
    let topdir = format!("_topdir {}", place.join("build").display());
    let words = ["-bb", "--quiet", "--define", &topdir].map(OsStr::new);
    told("rpmbuild", &[&words[..], &[spec.as_os_str()]].concat());
    let built = place.join("build/RPMS/noarch/tool-1.2-3.noarch.rpm");
    let database = format!("--dbpath={}", place.join("db").display());
    let words = [&database, "--justdb", "--nodeps", "--install"].map(OsStr::new);
    told("rpm", &[&words[..], &[built.as_os_str()]].concat());
}

#[test]
fn rpm_is_asked_through_its_own_tool() {
    let place = tempfile::tempdir().unwrap();
    let files = place.path().join("files");
    fs::create_dir(&files).unwrap();
    let [tool, configuration, own] = ["tool", "tool.conf", "own"].map(|name| files.join(name));
    for path in [&tool, &configuration, &own] {
        fs::write(path, "hello").unwrap();
    }
    installed_by_rpm(place.path(), &tool, &configuration);
    let mut packages = Packages::of_rpm(place.path(), &place.path().join("db"));
    let hex = |content: &str| -> String {
        let digest = Sha256::digest(content);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (hello, setting, other) = (hex("hello"), hex("setting"), hex("other"));
    let mut check = |path: &Path, sha256: Option<&str>| {
        let sums = Checksums {
            sha256,
            ..Checksums::default()
        };
        match packages.owner_of(path.as_os_str().as_encoded_bytes(), &sums) {
            Owner::Package(package) => {
                assert_eq!(
                    (
                        package.manager.as_str(),
                        package.name.as_str(),
                        package.version.as_deref(),
                        package.architecture.as_deref()
                    ),
                    ("rpm", "tool", Some("4:1.2-3"), Some("noarch"))
                );
                Ok(package.check)
            }
            other => Err(other),
        }
    };
    assert_eq!(check(&tool, Some(&hello)), Ok(PackageCheck::Matches));
    assert_eq!(check(&tool, Some(&other)), Ok(PackageCheck::Differs));
    assert_eq!(check(&tool, None), Ok(PackageCheck::Unread));
    assert_eq!(
        check(&configuration, Some(&setting)),
        Ok(PackageCheck::Conffile)
    );
    assert_eq!(
        check(&configuration, Some(&other)),
        Ok(PackageCheck::ConffileChanged)
    );
    assert_eq!(check(&own, Some(&hello)), Err(Owner::Nobody));
    assert_eq!(check(&files.join("gone"), None), Err(Owner::Unreadable));
}
