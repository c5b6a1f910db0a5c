//! Tests that need neither root nor kernel hooks.

mod store_contacts;
mod store_import;
mod store_open;
mod store_prune;
mod store_record;
mod store_schema;
mod support_store;
