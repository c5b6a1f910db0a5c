//! The configuration file.
#![no_main]

use std::path::Path;

use egress_baseline::config::{Config, ConfigError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    match Config::parse(&text, Path::new("config.toml")) {
        Ok(config) => {
            if let Some(every) = config.observe.flush_every {
                assert!((1..=3_600).contains(&every.as_secs()));
            }
            let bytes = config.limits.ring_bytes.unwrap_or(65_536);
            assert!(bytes.is_power_of_two() && bytes >= 65_536);
        }
        Err(error @ ConfigError::Invalid { line, .. }) => {
            assert!((1..=text.lines().count().max(1) + 1).contains(&line));
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        Err(error) => panic!("{error}"),
    }
});
