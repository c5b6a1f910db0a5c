//! The vocabulary: what is observed, by whom, and how completely.
//!
//! Values only: no IO and no clock. Every stage imports this module and no other stage.

mod application;
mod baseline;
mod batch;
mod check;
mod contact;
mod coverage;
mod destination;
mod event;
mod flow;
mod identity;
mod occurrence;
mod process;
mod provenance;
mod reason;
mod record;
mod resolver;
mod text;
mod time;
mod units;

pub use application::{Application, Context};
pub use baseline::{Completeness, Estimate, Incidence, LearningState, NewDestinations, Sampling};
pub use batch::{Batch, FlowRecord, Ticket};
pub use check::{CheckedKind, SeenAs, SelfCheck, Verdict};
pub use contact::{Contact, SamplingUnit, SeenOpening, SharedNames, Tally};
pub use coverage::{
    BackendFailure, BlindSpot, ImportSource, Loss, LossCause, SINCE_BOOT, WatchKind, WatchPeriod,
};
pub use destination::{Destination, Name, NameSource, Protocol};
pub use event::{
    Carried, CgroupSeen, Connect, ConnectionEnd, ConnectionId, DatagramCount, Endpoint, ImageFlags,
    KernelEvent, OpenConnection, Payload, PayloadKind, ProcessImage, Sender,
};
pub use flow::{Flow, OpeningKind, Outcome};
pub use identity::{ContainerFacts, IdentityRecord, PodFacts, RawIdentity};
pub use occurrence::{Occurrence, Occurrences};
pub use process::{Ancestor, Executable, Namespaces, Process, ProcessKey};
pub use provenance::{
    FileFacts, FilePlace, FileRole, FileSeen, FileUse, NoDigest, Ownership, Package, PackageCheck,
};
pub use reason::Reason;
pub use record::{NameAddress, ProcessFiles, Record, RecordedFlow, Rollup, RollupPeriod};
pub use resolver::{
    DatedResolver, HostsLine, RESOLVERS, ResolvedConfiguration, ResolverConfiguration,
};
pub use text::{bytes_of_text, text_of_bytes};
pub use time::{
    BootClock, DurationError, TimeError, Timestamp, Window, parse_duration, parse_when,
};
pub use units::Units;
