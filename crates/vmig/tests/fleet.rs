//! `vmig check --fleet`: many streams in one run, and what a query engine makes of the rows.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{project, run};
use serde_json::Value;

/// The guest that loads.
const GUEST: &str = "x86-i440fx-net-blk-q5.2";
/// One that does not.
const STRANGER: &str = "x86-q35-gpu-q10.0";

/// Arguments that name the destination, which is described by its own stream and answers.
fn destination() -> String {
    let case = format!("fixtures/loads/{GUEST}--to11.1");
    format!("--onto {case}.mig.zst --onto {case}.json")
}

fn unpacked(name: &str) -> Vec<u8> {
    let path = project().join(format!("fixtures/{name}.mig.zst"));
    let image = image::open(path.to_str().unwrap(), &mut |_| ()).unwrap();
    let mut bytes = vec![0; usize::try_from(image.source.len()).unwrap()];
    image.source.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// A folder with `guests` streams of every kind, and what else lies about in one. Of 20 guests, 17 load, one
/// is another machine's, one is cut short and one cannot be unpacked.
fn fleet(folder: &Path, guests: usize) {
    let good = unpacked(GUEST);
    let packed = fs::read(project().join(format!("fixtures/{GUEST}.mig.zst"))).unwrap();
    let contents = [
        unpacked(STRANGER),
        good[..good.len() / 2].to_vec(),
        packed[..packed.len() / 2].to_vec(),
        packed,
        good,
    ];
    let kinds: Vec<_> = (0..contents.len()).map(|kind| folder.join(format!("kind-{kind}"))).collect();
    for (path, bytes) in kinds.iter().zip(contents) {
        fs::write(path, bytes).unwrap();
    }
    for guest in 0..guests {
        let rack = folder.join(format!("rack-{}", guest % 7));
        fs::create_dir_all(&rack).unwrap();
        let kind = (guest % 20).min(kinds.len() - 1);
        fs::hard_link(&kinds[kind], rack.join(format!("guest-{guest:04}.mig"))).unwrap();
    }
    kinds.iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(folder.join("README"), "saved guests").unwrap();
    fs::write(folder.join("empty"), "").unwrap();
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn check(folder: &Path, arguments: &str) -> Output {
    run(&format!("check --fleet {} {} {arguments}", folder.display(), destination()))
}

fn json_lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn by_verdict(rows: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row["verdict"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_thousand_streams() {
    let folder = tempfile::tempdir().unwrap();
    fleet(folder.path(), 1000);
    let output = check(folder.path(), "--jsonl");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let rows = json_lines(&output);
    assert_eq!(rows.len(), 1002, "nothing is left out");
    let names: Vec<_> = rows.iter().map(|row| row["file"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&"rack-3/guest-0997.mig"));
    let expected = [("loads", 850), ("no-stream", 2), ("refused", 100), ("unreadable", 50)];
    assert_eq!(by_verdict(&rows), expected.map(|(name, count)| (name.to_owned(), count)).into());
    let row = rows.iter().find(|row| row["file"] == "rack-0/guest-0000.mig").unwrap();
    assert_eq!((&row["code"], &row["machine"]), (&"VM0600".into(), &"pc-q35-10.0".into()), "{row}");
    assert!(row["reason"].as_str().unwrap().contains("pc-q35-10.0"), "{row}");
    let row = rows.iter().find(|row| row["file"] == "rack-1/guest-0001.mig").unwrap();
    assert_eq!(row["code"], "VM0604", "{row}");
    let row = rows.iter().find(|row| row["file"] == "rack-5/guest-0005.mig").unwrap();
    assert!(row["ram_bytes"].as_u64().unwrap() > 1 << 20 && row["devices"].as_u64().unwrap() > 1, "{row}");
    assert_eq!((&row["reasons"], &row["reason"]), (&0.into(), &Value::Null));
}

#[test]
fn people_see_guests_and_a_summary() {
    let folder = tempfile::tempdir().unwrap();
    fleet(folder.path(), 20);
    let output = check(folder.path(), "");
    let shown = text(&output.stdout);
    assert!(shown.starts_with("file ") && shown.contains("\nrack-0/guest-0000.mig "), "{shown}");
    assert!(!shown.contains("README"), "{shown}");
    let summary =
        "20 guests: 17 load, 2 will not load, 1 cannot be read\nfirst reasons: VM0600 1, VM0604 1  ";
    assert!(shown.contains(summary) && shown.ends_with("\n2 files are no streams\n"), "{shown}");
    let output = check(folder.path(), "--json --jobs 1");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["rows"].as_array().unwrap().len(), 22);
    assert_eq!(document["summary"]["verdicts"]["loads"], 17);
}

#[test]
fn the_worst_decides_and_nothing_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("notes.txt"), "these are no streams").unwrap();
    let output = check(folder.path(), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("has no stream"), "{}", text(&output.stderr));
    fs::write(at("a.mig"), unpacked(GUEST)).unwrap();
    assert_eq!(check(folder.path(), "").status.code(), Some(0));
    let qcow2 = "fixtures/containers/microvm-q10.0.qcow2.zst";
    fs::copy(project().join(qcow2), at("disk.zst")).unwrap();
    let output = check(folder.path(), "--jsonl");
    let rows = json_lines(&output);
    let names: Vec<_> = rows.iter().map(|row| row["file"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.mig", "disk.zst#1", "disk.zst#2", "notes.txt"], "a row for each snapshot");
    let output = run(&format!("check --fleet /no/such/folder {}", destination()));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot open /no/such/folder"), "{}", text(&output.stderr));
}

/// Runs a query with DuckDB in `folder`, and returns its rows.
fn query(folder: &Path, sql: &str) -> Vec<Vec<Value>> {
    let script = "import duckdb, json, sys\n\
                  print(json.dumps(duckdb.sql(sys.stdin.read()).fetchall(), default=str))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "DuckDB refuses:\n{sql}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether DuckDB is there. If not, that is said past the test harness, which hides what passing tests print;
/// where nobody reads it, it is a failure.
fn has_duckdb() -> bool {
    let found = Command::new("python3").args(["-c", "import duckdb"]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        let text = "NOT TESTED: rows of a fleet in DuckDB; to test it: python3 -m pip install duckdb";
        assert!(std::env::var_os("CI").is_none(), "{text}");
        std::io::stderr().write_all(format!("\n{text}\n\n").as_bytes()).unwrap();
    }
    is_there
}

#[test]
fn a_query_engine_joins_the_rows() {
    if !has_duckdb() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let streams = folder.path().join("streams");
    fs::create_dir(&streams).unwrap();
    fleet(&streams, 60);
    let rows = json_lines(&check(&streams, "--jsonl"));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let output = check(&streams, &format!("--parquet {}", at("rows.parquet")));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("60 guests: 51 load"), "{}", text(&output.stdout));
    for part in 1..=4 {
        let output = check(&streams, &format!("--shard {part}/4 --jsonl"));
        fs::write(at(&format!("{part}.jsonl")), output.stdout).unwrap();
        check(&streams, &format!("--shard {part}/4 --parquet {}", at(&format!("part-{part}.parquet"))));
    }

    // The same in every form, whole and in parts, column by column.
    let columns: Vec<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    let same = columns.iter().copied().filter(|&column| column != "seconds").collect::<Vec<_>>().join(", ");
    let expected: Vec<Vec<Value>> =
        rows.iter().map(|row| same.split(", ").map(|column| row[column].clone()).collect()).collect();
    for source in ["'rows.parquet'", "'part-*.parquet'", "read_json('*.jsonl')"] {
        let found = query(folder.path(), &format!("SELECT {same} FROM {source} ORDER BY file"));
        assert_eq!(found, expected, "{source}");
    }

    // The examples, as they stand.
    let examples = fs::read_to_string(project().join("docs/fleet.md")).unwrap();
    let mut count = 0;
    for example in examples.split("```sql\n").skip(1) {
        let (sql, _) = example.split_once("```").unwrap();
        assert!(!query(folder.path(), sql).is_empty(), "no row for:\n{sql}");
        count += 1;
    }
    assert!(count >= 5, "docs/fleet.md has {count} queries");
}
