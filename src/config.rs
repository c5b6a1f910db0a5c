//! The configuration file. Flags override what it says.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de};

use crate::model;

/// Where the configuration is looked for when no other place is named.
pub const DEFAULT_PATH: &str = "/etc/egress-baseline/config.toml";

const FLUSH_EVERY_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(3_600));

/// A kernel ring buffer is a power of two of whole pages.
const RING_BYTES_BOUNDS: (u32, u32) = (64 * 1024, 1024 * 1024 * 1024);

/// Why the configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("read configuration `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It names an account that this host does not have.
    #[error("`[service]` names user `{user}`, whom `/etc/passwd` does not have")]
    UnknownUser {
        /// The name.
        user: String,
    },
    /// What it says makes no sense.
    #[error("{}:{line}: {}{reason}", path.display(), key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, where there is one.
        key: Option<String>,
        /// What is wrong.
        reason: String,
    },
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What `observe` does.
    pub observe: ObserveConfig,
    /// How much memory the observer may use.
    pub limits: LimitsConfig,
    /// What `prune` and the observer keep.
    pub retention: RetentionConfig,
    /// How the observer runs as a service.
    pub service: ServiceConfig,
}

/// `[service]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// The account that an observer that was started as root becomes once its hooks are on.
    pub user: Option<String>,
}

/// `[observe]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObserveConfig {
    /// The backend, or the first that works.
    pub backend: Option<BackendChoice>,
    /// Whether flows that stay on the host are recorded.
    pub include_loopback: Option<bool>,
    /// Learn what destinations are called.
    pub names: Option<bool>,
    /// Whether the files that run are examined: package, digest, place.
    pub provenance: Option<bool>,
    /// Whether command lines are stored unredacted.
    pub full_command_lines: Option<bool>,
    /// How often flows are written.
    #[serde(deserialize_with = "flush_every")]
    pub flush_every: Option<Duration>,
    /// Whether canary flows prove at the start that flows are seen.
    pub self_check: Option<bool>,
}

/// Which set of kernel hooks is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendChoice {
    /// The first that works.
    Auto,
    /// Trampolines.
    Fexit,
    /// Kprobes.
    Kprobe,
    /// Cgroup hooks.
    Cgroup,
}

/// `[limits]`; what is not said is the observer's own choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Size of the ring buffer from the kernel, bytes.
    #[serde(deserialize_with = "ring_bytes")]
    pub ring_bytes: Option<u32>,
    /// Open connections that the kernel side follows.
    #[serde(deserialize_with = "table_size")]
    pub connections: Option<u32>,
    /// Threads that are inside a connect call at the same time.
    #[serde(deserialize_with = "table_size")]
    pub connecting: Option<u32>,
    /// Datagram contacts that the kernel side keeps between two drains.
    #[serde(deserialize_with = "table_size")]
    pub datagram_contacts: Option<u32>,
    /// Process images that the kernel side remembers.
    #[serde(deserialize_with = "table_size")]
    pub known_processes: Option<u32>,
    /// Exchanges of datagrams of which it is remembered who began.
    #[serde(deserialize_with = "table_size")]
    pub conversations: Option<u32>,
    /// Cgroups that the kernel side remembers.
    #[serde(deserialize_with = "table_size")]
    pub known_cgroups: Option<u32>,
    /// Addresses of this host and its containers that the kernel side knows.
    #[serde(deserialize_with = "table_size")]
    pub own_addresses: Option<u32>,
    /// Tasks that are being identified at the same time.
    #[serde(deserialize_with = "few")]
    pub identifying: Option<u32>,
    /// Sums that are held in memory between two flushes.
    #[serde(deserialize_with = "table_size")]
    pub contacts: Option<u32>,
    /// Files that wait to be examined.
    #[serde(deserialize_with = "table_size")]
    pub waiting_files: Option<u32>,
    /// Files that are larger are not read, megabytes.
    #[serde(deserialize_with = "megabytes")]
    pub largest_hashed_megabytes: Option<u32>,
    /// Megabytes of files that are read in a second.
    #[serde(deserialize_with = "megabytes")]
    pub hashed_megabytes_per_second: Option<u32>,
    /// Flows that wait in memory for a database that cannot be written.
    #[serde(deserialize_with = "table_size")]
    pub waiting_flows: Option<u32>,
}

/// `[retention]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days for which single flows are kept; 0 keeps them for ever.
    pub detail_days: u32,
    /// Size of the database above which single flows are dropped, oldest first; 0 sets no limit.
    pub max_megabytes: u32,
    /// Days for which the sums that baselines are made from are kept; 0 keeps them for ever.
    pub rollup_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            detail_days: 30,
            max_megabytes: 1024,
            rollup_days: 0,
        }
    }
}

impl Config {
    /// Reads the configuration at `path`, or at [`DEFAULT_PATH`] if there is one.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, is_optional) = match path {
            Some(path) => (path, false),
            None => (Path::new(DEFAULT_PATH), true),
        };
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if is_optional && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads `text`, which came from `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.get(..at).unwrap_or_default();
            ConfigError::Invalid {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                key: key_at(text, before.rfind('\n').map_or(0, |end| end + 1)),
                reason: error.message().replace('\n', ", "),
            }
        })
    }
}

/// The key of the line that begins at `start`, if it is a line with one.
fn key_at(text: &str, start: usize) -> Option<String> {
    let line = text.get(start..)?.lines().next()?;
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    is_bare.then(|| key.to_owned())
}

fn flush_every<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_flush_every(&text)
        .map(Some)
        .map_err(de::Error::custom)
}

/// Reads how often flows are written: from `1s` to `1h`.
pub fn parse_flush_every(text: &str) -> Result<Duration, String> {
    let (least, most) = FLUSH_EVERY_BOUNDS;
    let duration = model::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < least || duration > most {
        return Err(format!("`{text}` is not between `1s` and `1h`"));
    }
    Ok(duration)
}

fn ring_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let (least, most) = RING_BYTES_BOUNDS;
    let bytes = u32::deserialize(deserializer)?;
    if !bytes.is_power_of_two() || bytes < least || bytes > most {
        return Err(de::Error::custom(format!(
            "{bytes} is no power of two between {least} and {most}"
        )));
    }
    Ok(Some(bytes))
}

fn table_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    const MOST: u32 = 16 * 1024 * 1024;
    number_up_to(MOST, deserializer)
}

/// Up to a terabyte.
fn megabytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    const MOST: u32 = 1_000_000;
    number_up_to(MOST, deserializer)
}

/// Each of these takes nine kilobytes.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    const MOST: u32 = 4_096;
    number_up_to(MOST, deserializer)
}

fn number_up_to<'de, D: Deserializer<'de>>(
    most: u32,
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    let number = u32::deserialize(deserializer)?;
    if number == 0 || number > most {
        return Err(de::Error::custom(format!(
            "{number} is not between 1 and {most}"
        )));
    }
    Ok(Some(number))
}
