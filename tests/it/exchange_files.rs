//! Files that ran, as strange as they come, for the lines of NDJSON that carry them.

use egress_baseline::model::{
    FileFacts, FilePlace, FileRole, NoDigest, Ownership, Package, PackageCheck, ProcessFiles,
    Record,
};
use proptest::{
    option,
    prelude::{BoxedStrategy, Strategy, any},
    sample::select,
};

use crate::exchange_records::{text, time};

pub(super) fn process_files() -> BoxedStrategy<ProcessFiles> {
    (option::of(any::<u64>()), option::of(any::<u64>()))
        .prop_map(|(executable, script)| ProcessFiles { executable, script })
        .boxed()
}

fn package() -> BoxedStrategy<Package> {
    (
        text(),
        text(),
        option::of(text()),
        option::of(text()),
        select(PackageCheck::ALL.to_vec()),
    )
        .prop_map(|(manager, name, version, architecture, check)| Package {
            manager,
            name,
            version,
            architecture,
            check,
        })
        .boxed()
}

pub(super) fn file() -> BoxedStrategy<FileFacts> {
    let numbers = (
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
    );
    let mode = (
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
    );
    let digest = (
        option::of(text()),
        option::of(select(NoDigest::ALL.to_vec())),
    );
    let texts = (option::of(text()), option::of(text()), option::of(text()));
    let words = (
        option::of(select(FilePlace::ALL.to_vec())),
        select(Ownership::ALL.to_vec()),
        option::of(package()),
        option::of(time()),
    );
    ((text(), text()), numbers, mode, digest, texts, words)
        .prop_map(
            |((host, path), numbers, mode, digest, texts, words)| FileFacts {
                host,
                path,
                resolved_path: texts.0,
                device: numbers.0,
                inode: numbers.1,
                size: numbers.2,
                changed: words.3,
                sha256: digest.0,
                no_sha256: digest.1,
                mode: mode.0,
                owner_uid: mode.1,
                owner_gid: mode.2,
                capabilities: texts.1,
                place: words.0,
                writable_by_all: texts.2,
                ownership: words.1,
                package: words.2,
            },
        )
        .boxed()
}

pub(super) fn file_use() -> BoxedStrategy<Record> {
    (
        any::<u64>(),
        any::<u64>(),
        select(FileRole::ALL.to_vec()),
        time(),
        time(),
    )
        .prop_map(
            |(file_id, identity_id, role, first, last)| Record::FileUse {
                file_id,
                identity_id,
                role,
                first,
                last,
            },
        )
        .boxed()
}
