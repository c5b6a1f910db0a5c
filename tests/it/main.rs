//! Tests that need neither root nor kernel hooks.

mod identity;
