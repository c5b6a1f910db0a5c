//! Programs that run what their arguments name.

/// Names without version numbers. Shells and multi-call binaries are among them: what `busybox`
/// or `bash -c` is, only its arguments tell.
const NAMES: [&str; 61] = [
    "R",
    "Rscript",
    "ash",
    "awk",
    "bash",
    "beam.smp",
    "bun",
    "busybox",
    "clisp",
    "csh",
    "dash",
    "deno",
    "dotnet",
    "electron",
    "elvish",
    "env",
    "erl",
    "escript",
    "expect",
    "fish",
    "gawk",
    "gjs",
    "guile",
    "java",
    "jruby",
    "julia",
    "ksh",
    "ksh93",
    "lua",
    "luajit",
    "luatex",
    "mawk",
    "mksh",
    "mono",
    "mono-sgen",
    "node",
    "nodejs",
    "nu",
    "osh",
    "perl",
    "php",
    "php-cgi",
    "php-fpm",
    "pwsh",
    "pypy",
    "python",
    "qjs",
    "racket",
    "raku",
    "rbash",
    "ruby",
    "sbcl",
    "sh",
    "tclsh",
    "tcsh",
    "toybox",
    "wine",
    "wine64",
    "wish",
    "yash",
    "zsh",
];

/// Whether the file at `path` runs what its arguments name, judged by its file name.
///
/// Arguments and working directory enter the raw identity of such programs only.
pub fn is_interpreter(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_listed = |name: &str| NAMES.binary_search(&name).is_ok();
    is_listed(name) || is_listed(without_version(name)) || is_loader(name)
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

/// The dynamic loader and QEMU's user-mode emulators take any program as an argument.
fn is_loader(name: &str) -> bool {
    name.starts_with("ld-linux")
        || name.starts_with("ld-musl")
        || name == "ld.so"
        || name.starts_with("qemu-")
            && !["qemu-system", "qemu-img", "qemu-nbd", "qemu-ga", "qemu-io"]
                .iter()
                .any(|tool| name.starts_with(tool))
}

#[cfg(test)]
mod tests {
    use super::{NAMES, is_interpreter};

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
            "/usr/lib/R/bin/exec/R",
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

    #[test]
    fn the_list_is_sorted_as_the_search_in_it_needs() {
        assert!(NAMES.is_sorted());
    }
}
