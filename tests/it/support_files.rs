//! A host made of files, and questions about what ran there.
#![expect(
    clippy::unwrap_used,
    reason = "a host that cannot be made fails the test"
)]

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use egress_baseline::{
    identity::facts::{ExamineLimits, Examiner, FileQuestion, Stop},
    model::{FileFacts, FileRole, PackageCheck, ProcessKey},
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// No process has it.
const NOBODYS_PID: u32 = u32::MAX;

/// A root directory with a package database.
pub(crate) struct Host {
    directory: TempDir,
}

impl Host {
    /// A root without anything in it.
    pub(crate) fn bare() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A root with an empty database of dpkg.
    pub(crate) fn with_dpkg() -> Self {
        let host = Self::bare();
        for directory in ["info", "updates", "triggers"] {
            fs::create_dir_all(host.path("var/lib/dpkg").join(directory)).unwrap();
        }
        for file in ["status", "available"] {
            fs::write(host.path("var/lib/dpkg").join(file), "").unwrap();
        }
        host
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self, path: &str, content: &[u8], mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Builds a package of files with dpkg's own tool and installs it below the root.
    pub(crate) fn install(&self, name: &str, version: &str, files: &[(&str, &str)], more: &str) {
        let tree = tempfile::tempdir().unwrap();
        let mut sums = String::new();
        let control = tree.path().join("DEBIAN");
        fs::create_dir_all(&control).unwrap();
        fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut conffiles = String::new();
        for (path, content) in files {
            let below = path.trim_start_matches('/');
            let place = tree.path().join(below);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, content).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
            if below.starts_with("etc/") {
                conffiles.push_str(&format!("/{below}\n"));
            } else {
                let sum = told("md5sum", &[place.as_os_str()]);
                let sum = sum.split_whitespace().next().unwrap();
                sums.push_str(&format!("{sum}  {below}\n"));
            }
        }
        fs::write(control.join("md5sums"), sums).unwrap();
        if !conffiles.is_empty() {
            fs::write(control.join("conffiles"), conffiles).unwrap();
        }
        let fields = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <n@example.org>\n\
             Description: made for a test\n{more}"
        );
        fs::write(control.join("control"), fields).unwrap();
        let package = tree.path().with_extension("deb");
        let words = [
            OsStr::new("--build"),
            tree.path().as_os_str(),
            package.as_os_str(),
        ];
        told("dpkg-deb", &words);
        self.dpkg(&["--install".as_ref(), package.as_os_str()]);
        fs::remove_file(package).unwrap();
    }

    pub(crate) fn dpkg(&self, words: &[&OsStr]) {
        let mut root = std::ffi::OsString::from("--root=");
        root.push(self.root());
        let mut all = vec![root.as_os_str(), OsStr::new("--force-not-root")];
        all.extend(words);
        told("dpkg", &all);
    }

    pub(crate) fn examiner(&self) -> Examiner {
        self.examiner_with(ExamineLimits {
            bytes_per_second: u64::MAX,
            ..ExamineLimits::default()
        })
    }

    pub(crate) fn examiner_with(&self, limits: ExamineLimits) -> Examiner {
        Examiner::of_host(self.root(), "gate", limits)
    }

    /// The question about the executable that is at a path now.
    pub(crate) fn ran(&self, path: &str) -> FileQuestion {
        let file = fs::metadata(self.path(path)).unwrap();
        FileQuestion {
            process: ProcessKey {
                pid: NOBODYS_PID,
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

    /// The question about a script that an interpreter at `exe` was given.
    pub(crate) fn interpreted(&self, exe: &str, script: &str) -> FileQuestion {
        FileQuestion {
            role: FileRole::Script,
            path: script.to_owned(),
            ..self.ran(exe)
        }
    }

    /// What is known of the executable at a path.
    pub(crate) fn facts(&self, path: &str) -> FileFacts {
        examined(&mut self.examiner(), &self.ran(path))
    }
}

pub(crate) fn examined(examiner: &mut Examiner, question: &FileQuestion) -> FileFacts {
    (*examiner.examine(question, &Stop::default())).clone()
}

pub(crate) fn kernel_device(device: u64) -> u64 {
    u64::from(rustix::fs::major(device)) << 20 | u64::from(rustix::fs::minor(device))
}

/// What a program that must end well says.
pub(crate) fn told(program: &str, words: &[&OsStr]) -> String {
    let output = Command::new(program)
        .args(words)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|cause| panic!("start {program}: {cause}"));
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn sha256_of(content: &[u8]) -> Option<String> {
    let digest = Sha256::digest(content);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Name, version and check of the package.
pub(crate) fn package_of(facts: &FileFacts) -> (&str, &str, PackageCheck) {
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
