//! The schema is an interface: its page says what there is, all of it and nothing else.
#![expect(
    clippy::unwrap_used,
    reason = "what makes and looks at a store fails the test when it cannot"
)]

use std::{collections::BTreeSet, fs, path::Path};

use egress_baseline::store::Recorder;
use rusqlite::Connection;
use tempfile::tempdir;

use crate::support_store::{NOON, flow, named, record_of, store_with};

type Columns = BTreeSet<(String, String)>;

fn documented() -> (Columns, usize) {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema.md")).unwrap();
    let mut columns = Columns::new();
    let mut tables = 0;
    let mut current = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            current = Some(heading.split('`').next().unwrap().to_owned());
            tables += 1;
        } else if line.starts_with('#') {
            current = None;
        }
        if let (Some(table), Some(row)) = (&current, line.strip_prefix("| `")) {
            let column = row.split('`').next().unwrap().to_owned();
            let meaning = row.split('|').nth(1).unwrap_or_default().trim();
            assert!(!meaning.is_empty(), "{table}.{column} has no meaning");
            assert!(
                columns.insert((table.clone(), column.clone())),
                "{table}.{column} twice"
            );
        }
    }
    (columns, tables)
}

#[test]
fn the_page_lists_every_table_view_and_column_and_no_other() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    drop(Recorder::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let real: Columns = connection
        .prepare(
            "SELECT s.name, c.name
             FROM sqlite_schema AS s, pragma_table_info(s.name) AS c
             WHERE s.type IN ('table', 'view')
               AND s.name NOT LIKE 'sqlite%'",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let (documented, tables) = documented();
    let undocumented: Vec<_> = real.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&real).collect();
    assert!(
        undocumented.is_empty() && gone.is_empty(),
        "{undocumented:?} {gone:?}"
    );
    let names: BTreeSet<_> = real.iter().map(|(table, _)| table).collect();
    assert_eq!(tables, names.len());
}

#[test]
fn every_table_is_strict_and_flows_have_no_index() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    drop(Recorder::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    let lax: i64 = connection
        .query_row(
            "SELECT COUNT(*)
             FROM pragma_table_list
             WHERE schema = 'main'
               AND type = 'table'
               AND name NOT LIKE 'sqlite%'
               AND strict = 0",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(lax, 0);
    let indexes_of_flow: i64 = connection
        .query_row(
            "SELECT COUNT(*) FROM pragma_index_list('flow')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(indexes_of_flow, 0);
}

#[test]
fn the_queries_that_the_page_shows_run() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("flows.db");
    store_with(
        &path,
        vec![
            record_of(flow(NOON, "192.0.2.1")),
            record_of(named(NOON, "a.example", "192.0.2.2")),
        ],
    );
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema.md")).unwrap();
    let connection = Connection::open(&path).unwrap();
    let mut shown = 0;
    for block in page.split("```sql\n").skip(1) {
        let query = block.split("```").next().unwrap();
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query([]).unwrap().mapped(|_| Ok(())).count();
        assert!(rows > 0, "{query}");
        shown += 1;
    }
    assert!(shown >= 3, "{shown}");
}
