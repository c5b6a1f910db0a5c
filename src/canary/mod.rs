//! Makes one flow of each kind, so that it can be proved which of them an observer sees.
//!
//! Every flow is made inside a network namespace that leads nowhere: [`Lab`] builds one, and
//! [`Isolation`] is the proof, without which nothing here sends.

mod addresses;
mod apart;
mod available;
mod icmp;
mod isolation;
mod kind;
mod kinds;
mod lab;
mod local;
mod multipath;
mod namespace;
mod other;
mod packet;
mod peer;
mod raw;
mod ring;
mod socket;
mod tcp;
mod udp;
mod udp_paths;

pub use addresses::{
    MAKER_ADDRESS4, MAKER_ADDRESS6, OPEN_PORT, PEER_ADDRESS4, PEER_ADDRESS6, SILENT4,
};
pub use apart::{await_child, fork_and_run, with_own_mounts};
pub use available::lacking_module;
pub use isolation::{Isolation, NotIsolated};
pub use kind::{Expected, Group, Kind, Made, NotMade, Scope};
pub use kinds::{kind_named, kinds};
pub use lab::Lab;
pub use multipath::{connect_over_two_paths, offer_second_path, two_paths_target};
pub use namespace::LabError;
