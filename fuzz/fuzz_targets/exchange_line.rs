//! Lines of an import: what is read is what it is written as.
#![no_main]

use egress_baseline::exchange::{parse_line, render_flow, render_record};
use egress_baseline::model::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for line in input.split(|byte| *byte == b'\n') {
        match parse_line(line) {
            Ok(Some(record)) => assert_same_again(&record),
            Ok(None) => {
                let text = std::str::from_utf8(line).expect("a line that was read");
                assert!(text.trim().is_empty());
            }
            Err(error) => assert!(error.to_string().len() < 1024, "{error}"),
        }
    }
});

fn assert_same_again(record: &Record) {
    let line = render_record(record).expect("a line");
    assert!(!line.contains('\n'), "{line}");
    let again = parse_line(line.as_bytes())
        .expect("what was written is read")
        .expect("it is a record");
    // The application of a flow is found again where it is read.
    assert_eq!(&again, record, "{line}");
    if let Record::Flow(flow) = record {
        let line = render_flow(flow).expect("a line");
        assert!(parse_line(line.as_bytes()).is_ok(), "{line}");
    }
}
