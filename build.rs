//! Compiles `bpf/` and writes the Rust side of its maps, programs and records.

#![expect(
    clippy::print_stderr,
    reason = "how a build script tells what is wrong"
)]

use std::{env, path::PathBuf, process::Command};

use libbpf_cargo::SkeletonBuilder;

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    if let Err(error) = Command::new(&clang).arg("--version").output() {
        eprintln!("error: cannot run `{clang}`, which compiles the kernel side: {error}");
        eprintln!(
            "hint: install clang 14 or newer (`apt-get install clang`), or name one in CLANG"
        );
        std::process::exit(1);
    }
    // The register layouts in bpf/kernel.h go by the kernel's names of architectures.
    let architecture = match env::var("CARGO_CFG_TARGET_ARCH")
        .expect("cargo sets it")
        .as_str()
    {
        "x86_64" => "x86".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("egress.skel.rs");
    let target = format!("-D__TARGET_ARCH_{architecture}");
    let built = SkeletonBuilder::new()
        .source("bpf/egress.bpf.c")
        .clang(&clang)
        .clang_args([
            target.as_str(),
            "-mcpu=v2",
            "-Wall",
            "-Wextra",
            "-Wno-unused-parameter",
            "-Werror",
        ])
        .build_and_generate(&out);
    if let Err(error) = built {
        eprintln!("error: compile bpf/egress.bpf.c: {error:#}");
        std::process::exit(1);
    }
}
