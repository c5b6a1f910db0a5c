//! Compiles readers of the kernel side as plain functions, with clang's coverage for libFuzzer.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=native");
    println!("cargo:rerun-if-changed=../bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    let architecture = match env::var("CARGO_CFG_TARGET_ARCH")
        .expect("cargo sets it")
        .as_str()
    {
        "x86_64" => "x86".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    let mut build = cc::Build::new();
    build
        .compiler(env::var("CLANG").unwrap_or_else(|_| "clang".to_owned()))
        .files(["native/packet_headers.c", "native/sent_payload.c"])
        .include("native")
        .include("../bpf")
        .define(&format!("__TARGET_ARCH_{architecture}"), None)
        .opt_level(1)
        .flag("-Wno-unknown-attributes")
        .flag("-Wno-unused-function")
        .flag("-fno-strict-aliasing");
    // Without the fuzzer's flags there is nobody to tell: `cargo check` and clippy.
    if env::var_os("CARGO_CFG_FUZZING").is_some() {
        build
            .flag("-fsanitize=fuzzer-no-link,undefined")
            .flag("-fsanitize-undefined-trap-on-error");
    }
    build.compile("readers");
}
