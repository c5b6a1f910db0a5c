//! One file a command: its arguments, whose doc comments are the help text, and what it does.
//!
//! Stages are joined here: commands ask the store, hand its answers to `analyze`, and theirs to
//! `report`.

mod coverage;
pub mod doctor;
pub mod dump;
pub mod error;
mod exit;
pub mod explain;
pub mod import;
mod learning;
pub mod make_canary;
pub mod observe;
pub mod options;
mod output;
pub mod prune;
pub mod report;
pub mod status;
mod window;

pub use self::exit::Exit;
use crate::capture::now;
