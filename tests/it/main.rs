//! Tests that need neither root nor kernel hooks.

mod cli_explain;
mod cli_help;
mod cli_import;
mod cli_report;
mod cli_status;
mod docs;
mod exchange;
mod exchange_flows;
mod exchange_records;
mod identity;
mod replay;
mod store_contacts;
mod store_days;
mod store_denied;
mod store_import;
mod store_known;
mod store_open;
mod store_prune;
mod store_record;
mod store_schema;
mod store_sums;
mod store_upgrade;
mod support_cli;
mod support_store;
