//! What a process says of itself, for those that the kernel side could not look into.

use std::path::Path;

use super::bytes_at;

/// As much as the kernel side reads of arguments.
const LONGEST: usize = 4_096;

/// `/proc` counts starts in hundredths of a second, whatever the kernel's own clock is.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Arguments of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The arguments, as the process has them in its memory now.
    pub words: Vec<Vec<u8>>,
    /// They are longer than is read.
    pub is_truncated: bool,
}

/// The arguments of the process that started at this time; `None` if it has none that can be read, or
/// if its number is another's by now.
pub fn arguments_of(root: &Path, pid: u32, started_boot_ns: u64) -> Option<Arguments> {
    let directory = root.join(format!("proc/{pid}"));
    let mut bytes = bytes_at(&directory.join("cmdline"))?;
    // Afterwards: what was read is that of the process that is there now, or of its predecessor.
    let stat = bytes_at(&directory.join("stat"))?;
    if start_of(&stat)? != started_boot_ns / NANOSECONDS_PER_TICK || bytes.is_empty() {
        return None;
    }
    let is_truncated = bytes.len() > LONGEST;
    bytes.truncate(LONGEST);
    let whole = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    Some(Arguments {
        words: whole.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
        is_truncated,
    })
}

/// The 22nd field. The second is the program's name in parentheses, which may hold anything.
fn start_of(stat: &[u8]) -> Option<u64> {
    const FIELDS_BETWEEN: usize = 19;
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
    rest.split_whitespace().nth(FIELDS_BETWEEN)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Arguments, LONGEST, NANOSECONDS_PER_TICK, arguments_of};

    /// A root with one process that started at tick 1234, under a name that looks like more fields.
    fn root(cmdline: &[u8]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/77");
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("cmdline"), cmdline).unwrap();
        let fields = "S 1 77 77 0 -1 4194560 5 0 0 0 0 0 0 0 20 0 1 0 1234 9 9";
        fs::write(process.join("stat"), format!("77 (a) S 2 (b) {fields}\n")).unwrap();
        root
    }

    #[test]
    fn arguments_are_read_word_by_word() {
        let root = root(b"push\0--to\0\xff \0\0");
        let started = 1234 * NANOSECONDS_PER_TICK + 5;
        let expected = Arguments {
            words: vec![
                b"push".to_vec(),
                b"--to".to_vec(),
                b"\xff ".to_vec(),
                Vec::new(),
            ],
            is_truncated: false,
        };
        assert_eq!(arguments_of(root.path(), 77, started), Some(expected));
    }

    #[test]
    fn the_arguments_of_another_process_of_that_number_are_not_taken() {
        let root = root(b"push\0");
        let started = 1235 * NANOSECONDS_PER_TICK;
        assert_eq!(arguments_of(root.path(), 77, started), None);
    }

    #[test]
    fn no_arguments_and_no_process_are_none() {
        let root = root(b"");
        let started = 1234 * NANOSECONDS_PER_TICK;
        assert_eq!(arguments_of(root.path(), 77, started), None);
        assert_eq!(arguments_of(root.path(), 78, started), None);
    }

    #[test]
    fn long_arguments_are_cut_where_the_kernel_side_cuts_them() {
        let root = root(&[b'x'; LONGEST + 1]);
        let started = 1234 * NANOSECONDS_PER_TICK;
        let arguments = arguments_of(root.path(), 77, started).unwrap();
        assert_eq!(arguments.words, [vec![b'x'; LONGEST]]);
        assert!(arguments.is_truncated);
    }
}
