//! Learns what a Linux host legitimately reaches, before its outbound firewall is closed.
//!
//! The stages are folders that import [`model`] and no other stage; `docs/architecture.md` draws
//! them, `tests/layering.rs` holds them to it.

pub mod canary;
pub mod model;
pub mod store;
