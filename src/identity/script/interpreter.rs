//! Programs that run what their arguments name.

use super::languages::{EMULATOR, LANGUAGES, LOADER, Language};

/// Whether the file at `path` runs what its arguments name, judged by its file name.
///
/// Arguments and working directory enter the raw identity of such programs only.
pub fn is_interpreter(path: &str) -> bool {
    language_of(path).is_some()
}

/// How the interpreter at `path` is told what to run. Shells and multi-call binaries are among
/// them: what `busybox` or `bash -c` is, only their arguments tell.
pub(super) fn language_of(path: &str) -> Option<&'static Language> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if is_loader(name) {
        return Some(&LOADER);
    }
    if is_emulator(name) {
        return Some(&EMULATOR);
    }
    let has = |language: &&Language, name: &str| language.names.contains(&name);
    LANGUAGES
        .iter()
        .find(|language| has(language, name))
        .or_else(|| {
            let name = without_version(name);
            LANGUAGES.iter().find(|language| has(language, name))
        })
}

/// `python3.11` → `python`, `php-fpm8.2` → `php-fpm`, `perl5.36.0` → `perl`.
fn without_version(name: &str) -> &str {
    // Debug and free-threaded builds of Python end in a letter: `python3.13t`, `python3.11d`.
    let name = name
        .strip_suffix(['d', 'm', 't'])
        .filter(|rest| rest.ends_with(|last: char| last.is_ascii_digit()))
        .unwrap_or(name);
    name.trim_end_matches(|last: char| last.is_ascii_digit() || matches!(last, '.' | '-'))
}

fn is_loader(name: &str) -> bool {
    name.starts_with("ld-linux") || name.starts_with("ld-musl") || name == "ld.so"
}

fn is_emulator(name: &str) -> bool {
    const TOOLS: [&str; 5] = ["qemu-system", "qemu-img", "qemu-nbd", "qemu-ga", "qemu-io"];
    name.starts_with("qemu-") && !TOOLS.iter().any(|tool| name.starts_with(tool))
}

#[cfg(test)]
mod tests {
    use super::is_interpreter;

    #[test]
    fn interpreters_are_known_with_and_without_versions() {
        for path in [
            "/usr/bin/python3",
            "/usr/bin/python3.11",
            "/opt/py/bin/python3.13t",
            "/usr/bin/pypy3.9",
            "/usr/bin/perl5.36.0",
            "/usr/bin/ruby3.1",
            "/usr/sbin/php-fpm8.2",
            "/usr/bin/lua5.4",
            "/usr/bin/tclsh8.6",
            "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
            "/usr/bin/bash",
            "/bin/busybox",
            "/usr/bin/ksh93",
            "/usr/bin/wine64",
            "/usr/lib/R/bin/exec/R",
            "/usr/lib/erlang/erts-13.1.5/bin/beam.smp",
            "/usr/lib64/ld-linux-x86-64.so.2",
            "/usr/bin/qemu-aarch64-static",
        ] {
            assert!(is_interpreter(path), "{path}");
        }
    }

    #[test]
    fn other_programs_are_not() {
        for path in [
            "",
            "/",
            "/usr/bin/curl",
            "/usr/bin/python3-config",
            "/usr/bin/qemu-system-x86_64",
            "/usr/bin/javac",
            "/usr/sbin/nginx",
            "/usr/bin/7",
            "kernel:sh/0:1-events",
        ] {
            assert!(!is_interpreter(path), "{path}");
        }
    }
}
