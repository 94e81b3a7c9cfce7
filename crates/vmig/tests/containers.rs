//! What `vmig inspect` shows of what a stream was found in.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::run;
use serde_json::Value;

fn json(arguments: &str) -> Value {
    let output = run(&format!("inspect --json {arguments}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_libvirt_save_image() {
    let file = "fixtures/containers/microvm-q10.0.save.zst";
    let stream = &json(file)["stream"];
    assert_eq!(stream["container"], "zstd+libvirt+sparse");
    assert_eq!(stream["domain"]["name"], "microvm");
    assert_eq!(stream["domain"]["uuid"], "b5b7f2c4-2d0e-4a53-9f0e-5f6f8f1f0c11");
    assert_eq!(stream["domain"]["was_running"], true);
    assert!(stream["domain_xml"].as_str().unwrap().starts_with("<domain type='kvm'>\n"));
    let shown = text(&run(&format!("inspect {file}")).stdout);
    let domain = "domain    microvm, b5b7f2c4-2d0e-4a53-9f0e-5f6f8f1f0c11, running when it was saved\n";
    assert!(shown.contains(domain), "{shown}");
}

#[test]
fn a_snapshot_in_a_qcow2_image() {
    let file = "fixtures/containers/microvm-q10.0.qcow2.zst";
    let document = json(&format!("{file}#second"));
    let stream = &document["stream"];
    assert_eq!(stream["container"], "zstd+qcow2");
    assert_eq!((&stream["snapshot"]["id"], &stream["snapshot"]["name"]), (&"2".into(), &"second".into()));
    assert_eq!(stream["domain"], Value::Null);
    let date = stream["snapshot"]["date"].as_str().unwrap();
    let shown = text(&run(&format!("inspect {file}#2")).stdout);
    assert!(shown.contains(&format!("snapshot  second, id 2, {date}\n")), "{shown}");
    let save = json("fixtures/containers/microvm-q10.0.save.zst");
    let queues = |document: &Value| document["devices"][1]["queues"].clone();
    assert!(queues(&save).is_array() && queues(&document) == queues(&save));
}

#[test]
fn the_snapshots_are_listed_if_none_is_named() {
    let output = run("inspect fixtures/containers/microvm-q10.0.qcow2.zst");
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(shown.contains("2 snapshots that have VM state; name one by its name or id"), "{shown}");
    assert!(shown.contains("\n  1  first  20") && shown.contains("\n  2  second  20"), "{shown}");
}

#[test]
fn every_verb_takes_every_container() {
    for file in ["microvm-q10.0.save.zst", "microvm-q10.0.qcow2.zst#first"] {
        let output = run(&format!("verify fixtures/containers/{file}"));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn a_redacted_save_image_is_a_stream_without_xml() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared.mig");
    let shared = shared.to_str().unwrap();
    let output = run(&format!("redact fixtures/containers/microvm-q10.0.save.zst -o {shared} --identities"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let bytes = std::fs::read(shared).unwrap();
    assert!(bytes.starts_with(b"QEVM"));
    let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(!has(b"<domain") && !has(b"b5b7f2c4-2d0e-4a53-9f0e-5f6f8f1f0c11") && !has(b"/var/lib"));
    for verb in ["inspect", "verify"] {
        assert!(run(&format!("{verb} {shared}")).status.success(), "{verb}");
    }
    let check = run(&format!("check {shared} --onto fixtures/containers/microvm-q10.0.save.zst --json"));
    let verdict: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(verdict["reasons"], Value::Array(Vec::new()));
}
