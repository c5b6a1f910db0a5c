//! Tests on real captures, which lie outside of the repository: their licences are their projects'.
//!
//! `EGRESS_NAMES_DATA` names a directory with folders of captures, and `truth_dns.ndjson` and
//! `truth_sni.ndjson`, which hold what tshark reads in them, one line a message.
#![expect(
    clippy::unwrap_used,
    reason = "data that cannot be read fails the test"
)]

mod answers;
mod names;
mod openings;
#[path = "../it/support_captures.rs"]
mod support_captures;
mod wire;

use std::{env, path::PathBuf, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match env::var_os("EGRESS_NAMES_DATA") {
        Some(folder) => names::trials(&PathBuf::from(folder)),
        None => vec![Trial::test("names", || {
            Err("EGRESS_NAMES_DATA is not set; it names a directory of captures".into())
        })],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}
