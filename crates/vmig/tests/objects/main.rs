//! Streams in object stores: the same as from a file, and not more fetched than has to be.
#![cfg(feature = "object-store")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/mapped.rs"]
mod mapped;
mod server;

use std::fs;

use common::{project, run};
use serde_json::Value;
use server::Server;

const GUEST: &str = "x86-q35-kitchen-q10.0";

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn fixture(name: &str) -> Box<dyn vmstate::source::Source> {
    let path = project().join(format!("fixtures/{name}.mig.zst"));
    image::open(path.to_str().unwrap(), &mut |_| ()).unwrap().source
}

/// A folder with one bucket, `guests`, which has fixtures in folders of their own.
fn bucket(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, name) in names.iter().enumerate() {
        let rack = folder.path().join(format!("guests/saved/rack {number}"));
        fs::create_dir_all(&rack).unwrap();
        fs::copy(project().join(format!("fixtures/{name}.mig.zst")), rack.join("a#b.mig.zst")).unwrap();
        let source = fixture(name);
        let mut bytes = vec![0; usize::try_from(source.len()).unwrap()];
        source.read_exact_at(0, &mut bytes).unwrap();
        fs::write(rack.join("plain.mig"), bytes).unwrap();
    }
    folder
}

#[test]
fn an_object_is_shown_as_a_file_is() {
    let folder = bucket(&[GUEST]);
    let (s3, http) = (Server::s3(folder.path()), Server::http(folder.path()));
    let file = folder.path().join("guests/saved/rack 0/plain.mig");
    let copy = folder.path().join("copy.mig");
    fs::copy(file, &copy).unwrap();
    let plain = run(&format!("inspect --all {}", copy.display()));
    assert!(plain.status.success());
    let packed = run(&format!("inspect --all fixtures/{GUEST}.mig.zst"));
    let rack = "guests/saved/rack%200";
    for (place, expected) in [
        (format!("s3://{rack}/plain.mig"), &plain),
        (format!("s3://{rack}/a%23b.mig.zst"), &packed),
        (format!("{}/{rack}/plain.mig", http.url()), &plain),
        (format!("{}/{rack}/a%23b.mig.zst", http.url()), &packed),
    ] {
        let output = s3.vmig(&format!("inspect --all {place}"));
        assert!(output.status.success(), "{place}: {}", text(&output.stderr));
        assert!(output.stdout == expected.stdout, "{place}: {}", text(&output.stdout));
    }
    let output = s3.vmig(&format!("check s3://{rack}/plain.mig --onto s3://{rack}/a%23b.mig.zst"));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("cannot tell"), "{}", text(&output.stdout));
    let output = s3.vmig(&format!("verify s3://{rack}/plain.mig"));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_prefix_is_a_fleet() {
    let folder = bucket(&[GUEST, "x86-i440fx-net-blk-q5.2"]);
    fs::write(folder.path().join("guests/saved/notes"), "no stream").unwrap();
    fs::write(folder.path().join("guests/other"), "elsewhere").unwrap();
    let arguments = format!("--onto fixtures/{GUEST}.mig.zst --jsonl");
    let rows = |output: std::process::Output| -> Vec<Value> {
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let rows = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
        rows.map(|mut row: Value| {
            row["seconds"].take();
            // An error names where the file is.
            if row["verdict"] == "no-stream" {
                row["reason"].take();
            }
            row
        })
        .collect()
    };
    let saved = folder.path().join("guests/saved");
    let expected = rows(run(&format!("check --fleet {} {arguments}", saved.display())));
    assert_eq!(expected.len(), 5);
    let server = Server::s3(folder.path());
    for prefix in ["s3://guests/saved", "s3://guests/saved/"] {
        assert_eq!(rows(server.vmig(&format!("check --fleet {prefix} {arguments}"))), expected);
    }
}

/// Of a guest with 64 GiB, headers, bitmap, device sections, description and rings are fetched.
#[test]
fn of_mapped_ram_only_what_is_shown_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("guests")).unwrap();
    let file = folder.path().join("guests/large.mig");
    mapped::write(fixture(GUEST).as_ref(), 64 << 30, &file);
    let length = fs::metadata(&file).unwrap().len();
    assert!(length > 64 << 30);
    let server = Server::s3(folder.path());
    let output = server.vmig("inspect s3://guests/large.mig --json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (sent, requests) = server.counts();
    let bitmap = (64 << 30) / 4096 / 8;
    println!("fetched {sent} bytes of {length} in {requests} requests; the bitmap has {bitmap}");
    assert!((bitmap..4 * bitmap).contains(&sent), "{sent} bytes");
    assert!(requests < 100, "{requests} requests");
    assert!(run(&format!("inspect {} --json", file.display())).stdout == output.stdout);

    // The rings are there, and say what those of the recorded guest say.
    let queues = |bytes: &[u8]| -> Vec<Value> {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        document["devices"].as_array().unwrap().iter().map(|device| device["queues"].clone()).collect()
    };
    let recorded = run(&format!("inspect fixtures/{GUEST}.mig.zst --json"));
    assert_eq!(queues(&output.stdout), queues(&recorded.stdout));
}

/// A stream without places for pages has to be walked through: each byte is fetched once, in few requests.
#[test]
fn a_plain_stream_is_read_through_once() {
    let folder = bucket(&[GUEST]);
    let file = folder.path().join("guests/plain.mig");
    fs::rename(folder.path().join("guests/saved/rack 0/plain.mig"), &file).unwrap();
    let length = fs::metadata(&file).unwrap().len();
    let server = Server::s3(folder.path());
    let output = server.vmig("inspect s3://guests/plain.mig");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (sent, requests) = server.counts();
    println!("fetched {sent} bytes of {length} in {requests} requests");
    assert!(sent <= length && requests < 20, "{sent} bytes of {length}, {requests} requests");
}

#[test]
fn what_is_refused_is_explained() {
    let folder = bucket(&[GUEST]);
    let server = Server::s3(folder.path());
    let said = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        text(&output.stderr).to_owned()
    };
    let error = said(server.vmig("inspect s3://guests/nothing.mig"));
    assert!(
        error.contains("cannot read s3://guests/nothing.mig: ") && error.contains("is the path right"),
        "{error}"
    );
    // Signed requests go to a server that wants none; unsigned ones to one that does.
    let error = said(run(&format!("inspect {}/guests/saved/x.mig", server.url())));
    assert!(error.contains("vmig sends no credentials there"), "{error}");
    let error = said(server.vmig("inspect s3://guests/x.mig?X-Amz-Signature=1"));
    assert!(error.contains("leave it out"), "{error}");
    let error = said(server.vmig("inspect s3://"));
    assert!(error.contains("s3://bucket/path"), "{error}");
    let error =
        said(server.vmig("check --fleet s3://guests/none --onto fixtures/x86-q35-kitchen-q10.0.mig.zst"));
    assert!(error.contains("has no stream"), "{error}");
}
