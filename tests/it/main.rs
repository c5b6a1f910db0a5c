//! Tests that need neither root nor kernel hooks.

mod docs;
mod exchange;
mod exchange_flows;
mod exchange_records;
mod identity;
mod replay;
