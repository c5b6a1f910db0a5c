//! Text of other programs on its way to a terminal.
#![no_main]

use egress_baseline::{
    model::{bytes_of_text, text_of_bytes},
    report::visible,
};
use harness::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = text_of_bytes(input);
    assert_eq!(bytes_of_text(&text), input);
    let shown = visible(&text);
    assert_harmless(&shown);
    assert!(!shown.contains('\n'));
    assert_eq!(visible(&shown), shown);
});
