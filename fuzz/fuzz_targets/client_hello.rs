//! The beginning of a TCP stream, which may be a ClientHello.
//!
//! An input is the size of pieces, and the stream.
#![no_main]

use egress_baseline::{
    model::Timestamp,
    names::{FlowId, Names, Opening},
};
use harness::{Bytes, assert_is_name};
use libfuzzer_sys::fuzz_target;
use rustls::server::Acceptor;

const FLOW: FlowId = FlowId(1);
const NOW: Timestamp = Timestamp::from_unix_ns(1_795_348_800_000_000_000);

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let size = 1 + usize::from(bytes.byte());
    let stream = bytes.0;
    let opening = opening_of([stream]);
    let name = opening.as_ref().and_then(Opening::server_name);
    if let Some(name) = name {
        assert_is_name(name.as_str().split(':').next().expect("a part"));
    }
    // Words of other protocols are known by the first piece alone.
    if stream.starts_with(&[22, 3]) {
        assert_eq!(opening_of(stream.chunks(size.max(2))), opening);
    }
    // rustls takes names that resolvers read as addresses, such as `0x7f.1`.
    let is_refused =
        matches!(&opening, Some(Opening::ClientHello(hello)) if hello.has_unusable_name);
    if !is_refused && let Some(expected) = as_a_library_reads_it(stream) {
        let name = name.map(|name| name.as_str().to_owned());
        assert_eq!(name, expected);
    }
});

fn opening_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Opening> {
    let mut names = Names::default();
    pieces
        .into_iter()
        .find_map(|piece| names.stream_start(FLOW, piece, NOW))
}

/// The server name of a ClientHello that a server of TLS 1.3 would go on with; none if it would not.
fn as_a_library_reads_it(stream: &[u8]) -> Option<Option<String>> {
    let mut acceptor = Acceptor::default();
    let mut rest = stream;
    while !rest.is_empty() {
        acceptor.read_tls(&mut rest).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            let name = accepted
                .client_hello()
                .server_name()
                // It keeps a final dot.
                .map(|name| name.trim_end_matches('.').to_ascii_lowercase());
            return Some(name);
        }
    }
    None
}
