//! Tests that need neither root nor kernel hooks.

mod docs;
mod exchange;
mod exchange_flows;
mod exchange_records;
mod identity;
mod replay;
mod store_contacts;
mod store_denied;
mod store_import;
mod store_known;
mod store_open;
mod store_prune;
mod store_record;
mod store_schema;
mod store_sums;
mod support_store;
