//! The object's programs by their names.

use std::ffi::OsStr;

use libbpf_rs::{ProgramMut, skel::Skel};

use super::skeleton::EgressSkel;

/// A program of the object.
pub(super) fn program_named<'a>(
    skeleton: &'a EgressSkel<'_>,
    name: &str,
) -> Result<ProgramMut<'a>, libbpf_rs::Error> {
    skeleton
        .object()
        .progs_mut()
        .find(|program| program.name() == OsStr::new(name))
        .ok_or_else(|| libbpf_rs::Error::from_raw_os_error(libc::ENOENT))
}
