//! Learns what a Linux host legitimately reaches, before its outbound firewall is closed.
//!
//! The stages are folders that import [`model`] and no other stage; `docs/architecture.md` draws
//! them, `tests/layering.rs` holds them to it.

pub mod analyze;
pub mod canary;
pub mod capture;
pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod exchange;
pub mod failure;
pub mod identity;
pub mod mapping;
pub mod model;
pub mod names;
pub mod pipeline;
pub mod proof;
pub mod report;
pub mod resolver;
pub mod store;
