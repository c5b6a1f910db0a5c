//! Tests that need neither root nor kernel hooks.

mod docs;
mod identity;
