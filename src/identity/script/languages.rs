//! The table of interpreters: how each is told what to run.

/// How options are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Letters after one hyphen may be several options; the value of one is the rest of the word or
    /// the next word.
    Letters,
    /// An option is a word, with one hyphen or two.
    Words,
    /// As shells have it: `-c` says that the first operand is a text.
    Shell,
}

/// What the first word is that is neither an option nor the value of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// The file that is run.
    File,
    /// The text of the program.
    Text,
    /// The class that is run, or a source file.
    Class,
    /// One of these words, after which it goes on; or a file, by its looks; or what the tool is to do.
    After(&'static [&'static str]),
    /// Nothing that tells what is run.
    Nothing,
}

/// Interpreters that are started alike.
#[derive(Clone, Copy, Debug)]
pub(in crate::identity) struct Language {
    /// File names, without versions.
    pub(super) names: &'static [&'static str],
    /// How options are written.
    pub(super) style: Style,
    /// Options whose value is the text of the program. The first one stands for all.
    pub(super) text: &'static [&'static str],
    /// Options whose value is the file that is run.
    pub(super) file: &'static [&'static str],
    /// Options whose value is the module that is run. The first one stands for all.
    pub(super) module: &'static [&'static str],
    /// Options with a value of another kind, which may be the next word.
    pub(super) values: &'static [&'static str],
    /// Letters after which the rest of the word, if any, is a value.
    pub(super) attached: &'static str,
    /// The first operand.
    pub(super) operand: Operand,
}

const PLAIN: Language = Language {
    names: &[],
    style: Style::Letters,
    text: &[],
    file: &[],
    module: &[],
    values: &[],
    attached: "",
    operand: Operand::File,
};

const NODE: Language = Language {
    style: Style::Words,
    text: &["-e", "--eval", "-p", "--print", "-pe"],
    values: &[
        "-r",
        "--require",
        "--import",
        "--loader",
        "--experimental-loader",
        "-C",
        "--conditions",
        "--diagnostic-dir",
        "--disable-warning",
        "--env-file",
        "--icu-data-dir",
        "--input-type",
        "--inspect-port",
        "--max-http-header-size",
        "--openssl-config",
        "--redirect-warnings",
        "--secure-heap",
        "--stack-trace-limit",
        "--title",
        "--tls-cipher-list",
        "--unhandled-rejections",
        "--watch-path",
    ],
    ..PLAIN
};

/// All interpreters. Those that only their first operand tells apart are in one line.
pub(in crate::identity) const LANGUAGES: [Language; 28] = [
    Language {
        names: &["python", "pypy"],
        text: &["-c"],
        module: &["-m"],
        values: &["-W", "-X", "-Q", "--check-hash-based-pycs"],
        ..PLAIN
    },
    Language {
        names: &["node", "nodejs", "electron"],
        ..NODE
    },
    Language {
        names: &["deno"],
        text: &[],
        values: &["-c", "--config", "--import-map", "--lock", "--cert", "-L"],
        operand: Operand::After(&["run", "serve", "test", "task"]),
        ..NODE
    },
    Language {
        names: &["bun"],
        values: &["-r", "--preload", "-c", "--config", "--cwd", "--env-file"],
        operand: Operand::After(&["run", "x", "test"]),
        ..NODE
    },
    Language {
        names: &["ruby", "jruby"],
        text: &["-e"],
        values: &["-C", "-E", "-I", "-r", "--encoding", "--external-encoding"],
        attached: "FKTWix",
        ..PLAIN
    },
    Language {
        names: &["perl", "raku"],
        text: &["-e", "-E"],
        values: &["-I"],
        attached: "CDFMVdimx",
        ..PLAIN
    },
    Language {
        names: &["php", "php-cgi"],
        text: &["-r", "--run", "-B", "-R", "-E"],
        file: &["-f", "--file", "-F"],
        values: &[
            "-c",
            "-d",
            "-z",
            "-S",
            "-t",
            "-b",
            "--define",
            "--docroot",
            "--server",
        ],
        ..PLAIN
    },
    Language {
        names: &[
            "sh", "ash", "bash", "csh", "dash", "ksh", "mksh", "osh", "rbash", "tcsh", "yash",
            "zsh",
        ],
        style: Style::Shell,
        text: &["-c"],
        values: &["--init-file", "--rcfile", "--emulate"],
        ..PLAIN
    },
    Language {
        names: &["fish", "elvish", "nu"],
        text: &["-c", "--command", "--commands"],
        values: &[
            "-C",
            "--init-command",
            "-d",
            "-o",
            "--config",
            "--env-config",
        ],
        ..PLAIN
    },
    Language {
        names: &["pwsh"],
        style: Style::Words,
        text: &["-c", "-Command", "-command", "-EncodedCommand", "-e"],
        file: &["-f", "-File", "-file"],
        values: &["-ExecutionPolicy", "-WorkingDirectory", "-OutputFormat"],
        ..PLAIN
    },
    Language {
        names: &["java"],
        style: Style::Words,
        file: &["-jar"],
        module: &["-m", "--module"],
        values: &[
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "--upgrade-module-path",
            "--add-exports",
            "--add-modules",
            "--add-opens",
            "--add-reads",
            "--enable-native-access",
            "--limit-modules",
            "--patch-module",
            "--source",
        ],
        operand: Operand::Class,
        ..PLAIN
    },
    Language {
        names: &["dotnet"],
        style: Style::Words,
        values: &[
            "--additional-deps",
            "--additionalprobingpath",
            "--depsfile",
            "--fx-version",
            "--roll-forward",
            "--runtimeconfig",
        ],
        operand: Operand::After(&["exec"]),
        ..PLAIN
    },
    Language {
        names: &["mono", "mono-sgen"],
        style: Style::Words,
        values: &["--config"],
        ..PLAIN
    },
    Language {
        names: &["lua", "luajit", "luatex"],
        text: &["-e"],
        values: &["-l", "-j"],
        ..PLAIN
    },
    Language {
        names: &["R", "Rscript"],
        style: Style::Words,
        text: &["-e"],
        file: &["-f", "--file"],
        values: &["-g", "--gui", "-d"],
        ..PLAIN
    },
    Language {
        names: &["julia"],
        text: &["-e", "-E", "--eval", "--print"],
        values: &[
            "-J",
            "-L",
            "-p",
            "-t",
            "-C",
            "--load",
            "--sysimage",
            "--threads",
            "--procs",
        ],
        ..PLAIN
    },
    Language {
        names: &["expect"],
        text: &["-c"],
        file: &["-f"],
        ..PLAIN
    },
    Language {
        names: &["guile"],
        text: &["-c"],
        file: &["-s"],
        values: &["-L", "-C", "-l", "-e", "-x"],
        ..PLAIN
    },
    Language {
        names: &["racket"],
        text: &["-e", "--eval"],
        file: &["-f", "-r", "-u"],
        values: &["-l", "-t", "-p"],
        ..PLAIN
    },
    Language {
        names: &["sbcl", "clisp"],
        style: Style::Words,
        text: &["--eval", "-x"],
        file: &["--script", "--load", "-i"],
        values: &[
            "--core",
            "--dynamic-space-size",
            "--control-stack-size",
            "-M",
        ],
        ..PLAIN
    },
    Language {
        names: &["qjs", "gjs"],
        text: &["-e", "--eval", "-c"],
        values: &["-I", "--include", "--include-path"],
        ..PLAIN
    },
    Language {
        names: &["awk", "gawk", "mawk"],
        text: &["-e", "--source"],
        file: &["-f", "--file", "-E", "--exec"],
        values: &["-F", "-v", "--assign", "--field-separator", "-i", "-l"],
        operand: Operand::Text,
        ..PLAIN
    },
    Language {
        names: &["tclsh", "wish", "escript", "wine", "wine64"],
        ..PLAIN
    },
    // Which of their programs runs, the context says.
    Language {
        names: &["beam.smp", "erl", "env", "php-fpm"],
        operand: Operand::Nothing,
        ..PLAIN
    },
    MULTICALL,
    LOADER,
    EMULATOR,
    Language {
        names: &["ts-node", "tsx"],
        ..NODE
    },
];

/// Many programs in one file: what it is, its own name says, or its first argument.
pub(super) const MULTICALL: Language = Language {
    names: &["busybox", "toybox"],
    operand: Operand::Nothing,
    ..PLAIN
};

/// The dynamic loader runs any program.
pub(super) const LOADER: Language = Language {
    names: &["ld.so"],
    style: Style::Words,
    values: &[
        "--argv0",
        "--audit",
        "--glibc-hwcaps-mask",
        "--glibc-hwcaps-prepend",
        "--inhibit-rpath",
        "--library-path",
        "--preload",
    ],
    ..PLAIN
};

/// QEMU's emulators for users run any program of another machine.
pub(super) const EMULATOR: Language = Language {
    style: Style::Words,
    values: &[
        "-0", "-B", "-D", "-E", "-L", "-R", "-U", "-cpu", "-d", "-g", "-p", "-r", "-s",
    ],
    ..PLAIN
};
