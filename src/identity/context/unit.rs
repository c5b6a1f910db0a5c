//! Names of systemd units, without what changes from one start to the next.

/// Longest name that systemd gives a unit.
const LONGEST_NAME: usize = 255;

/// Kinds of unit that processes run in.
const KINDS: [&str; 5] = ["service", "scope", "socket", "mount", "swap"];

/// What stands for a folded number. As a glob it matches what it replaced.
const FOLDED: &str = "*";

/// The stable name of the unit that a cgroup is named after, or `None` if it is not named after
/// one: `getty@tty1.service` → `getty@.service`, `run-u123.service` → `run-*.service`.
pub(super) fn unit_of(component: &str) -> Option<String> {
    // A unit whose name could be taken for a file of the cgroup file system gets one `_` before it.
    let name = component.strip_prefix('_').unwrap_or(component);
    let (stem, kind) = name.rsplit_once('.')?;
    let is_unit = name.len() <= LONGEST_NAME
        && !stem.is_empty()
        && KINDS.contains(&kind)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte));
    if !is_unit {
        return None;
    }
    let is_transient = kind == "scope" || stem.starts_with("run-") || stem.starts_with("dbus-:");
    let fold = |stem: &str| {
        if is_transient {
            folded(stem)
        } else {
            stem.to_owned()
        }
    };
    Some(match stem.split_once('@') {
        Some((template, _instance)) => format!("{}@.{kind}", fold(template)),
        None => format!("{}.{kind}", fold(stem)),
    })
}

/// Replaces process numbers, counters and random identifiers between the hyphens of a name.
fn folded(stem: &str) -> String {
    let parts = split_at_hyphens(stem);
    let is_run = stem.starts_with("run-");
    let mut name = String::with_capacity(stem.len());
    let mut index = 0;
    while index < parts.len() {
        let (hyphen, part) = parts[index];
        let uuid = is_uuid(&parts[index..]);
        if uuid || is_number(part, is_run) {
            // `run-p123-i456` is one name with two numbers; one mark is enough.
            if !name.ends_with(FOLDED) {
                name.push_str(hyphen);
                name.push_str(FOLDED);
            }
        } else {
            name.push_str(hyphen);
            name.push_str(part);
        }
        index += if uuid { UUID_LENGTHS.len() } else { 1 };
    }
    name
}

/// The parts of a name, each with the hyphen before it: `-`, or `\x2d` as systemd escapes it.
fn split_at_hyphens(stem: &str) -> Vec<(&str, &str)> {
    const ESCAPED: &str = "\\x2d";
    let mut parts = Vec::new();
    let mut hyphen = "";
    let mut rest = stem;
    loop {
        let end = [rest.find('-'), rest.find(ESCAPED)]
            .into_iter()
            .flatten()
            .min();
        let Some(end) = end else {
            parts.push((hyphen, rest));
            return parts;
        };
        parts.push((hyphen, &rest[..end]));
        let length = if rest[end..].starts_with('-') {
            1
        } else {
            ESCAPED.len()
        };
        hyphen = &rest[end..end + length];
        rest = &rest[end + length..];
    }
}

fn is_number(part: &str, is_run: bool) -> bool {
    /// No word in a name is that long and made of a to f alone.
    const SHORTEST_RANDOM: usize = 16;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_random = |text: &str| text.len() >= SHORTEST_RANDOM && is_hexadecimal(text);
    // A connection's name on the bus: `dbus-:1.42-org.example.Service@0.service`.
    let is_bus_name = part.starts_with(':');
    // `run-u1`, `run-p1-i2`, `run-r0123456789abcdef0123456789abcdef` of systemd-run.
    let is_of_run = is_run
        && part
            .strip_prefix(['u', 'p', 'i', 'r'])
            .is_some_and(|number| is_digits(number) || is_random(number));
    is_digits(part) || is_random(part) || is_bus_name || is_of_run
}

const UUID_LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];

fn is_uuid(parts: &[(&str, &str)]) -> bool {
    parts.len() >= UUID_LENGTHS.len()
        && UUID_LENGTHS
            .iter()
            .zip(parts)
            .all(|(length, (_, part))| part.len() == *length && is_hexadecimal(part))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
