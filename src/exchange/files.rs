//! The lines of files that ran, and of who ran them when.

use serde::Serialize;

use super::{
    LineError,
    fields::{Fields, required},
};
use crate::model::{FileFacts, FileRole, Process, ProcessFiles, Record, Timestamp};

/// A process with the files that it ran, where they are known.
#[derive(Serialize)]
pub(super) struct ProcessBody<'a> {
    #[serde(flatten)]
    process: &'a Process,
    #[serde(skip_serializing_if = "Option::is_none")]
    exe_file_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_file_id: Option<u64>,
}

impl<'a> ProcessBody<'a> {
    pub(super) fn of(process: &'a Process, files: &ProcessFiles) -> Self {
        Self {
            process,
            exe_file_id: files.executable,
            script_file_id: files.script,
        }
    }
}

#[derive(Serialize)]
struct FileUseLine {
    kind: &'static str,
    file_id: u64,
    identity_id: u64,
    role: FileRole,
    first: Timestamp,
    last: Timestamp,
}

/// The line of a use; of no other record.
pub(super) fn render_use(record: &Record) -> Result<String, serde_json::Error> {
    let Record::FileUse {
        file_id,
        identity_id,
        role,
        first,
        last,
    } = record
    else {
        return super::render_record(record);
    };
    serde_json::to_string(&FileUseLine {
        kind: "file_use",
        file_id: *file_id,
        identity_id: *identity_id,
        role: *role,
        first: *first,
        last: *last,
    })
}

/// The files that the line of a process names.
pub(super) fn of_process(fields: &mut Fields) -> Result<ProcessFiles, LineError> {
    Ok(ProcessFiles {
        executable: fields.wide("exe_file_id")?,
        script: fields.wide("script_file_id")?,
    })
}

/// The use that a line holds.
pub(super) fn parse_use(fields: &mut Fields) -> Result<Record, LineError> {
    Ok(Record::FileUse {
        file_id: required("file_id", fields.wide("file_id")?)?,
        identity_id: required("identity_id", fields.wide("identity_id")?)?,
        role: required("role", fields.word("role", "role of a file")?)?,
        first: required("first", fields.time("first")?)?,
        last: required("last", fields.time("last")?)?,
    })
}

/// The file that a line holds.
pub(super) fn parse(fields: &mut Fields) -> Result<Record, LineError> {
    let id = required("id", fields.wide("id")?)?;
    let file = FileFacts {
        host: required("host", fields.text("host")?)?,
        path: required("path", fields.text("path")?)?,
        resolved_path: fields.text("resolved_path")?,
        device: fields.wide("device")?,
        inode: fields.wide("inode")?,
        size: fields.wide("size")?,
        changed: fields.time("changed")?,
        sha256: fields.text("sha256")?,
        no_sha256: fields.word("no_sha256", "reason for no digest")?,
        mode: fields.number("mode")?,
        owner_uid: fields.number("owner_uid")?,
        owner_gid: fields.number("owner_gid")?,
        capabilities: fields.text("capabilities")?,
        place: fields.word("place", "place of a file")?,
        writable_by_all: fields.text("writable_by_all")?,
        ownership: required("ownership", fields.word("ownership", "word for an owner")?)?,
        package: fields.structured("package")?,
    };
    Ok(Record::File {
        id,
        file: Box::new(file),
    })
}
