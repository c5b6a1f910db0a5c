//! Tests that need neither root nor kernel hooks.

mod store_record;
mod support_store;
