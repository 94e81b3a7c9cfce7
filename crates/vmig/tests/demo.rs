//! `vmig demo`: a guest moves from process to process, and nothing is lost, also when one of them is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::process::Command;

use serde_json::Value;

/// A demonstration that is small enough for a build without optimisation.
fn demo(options: &[&str]) -> (Vec<Value>, Vec<u8>) {
    let dir = tempfile::TempDir::new().unwrap();
    let stream = dir.path().join("demo.mig");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmig"));
    command.args(["demo", "--json", "--dirty", "4M", "--work", "300", "-o"]).arg(&stream).args(options);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let words = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_vmig"));
    let inspected = inspect.args(["inspect", "--json"]).arg(&stream).output().unwrap();
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    (words, inspected.stdout)
}

fn of_kind<'a>(words: &'a [Value], kind: &str) -> Vec<&'a Value> {
    words.iter().filter(|word| word.get("word").and_then(Value::as_str) == Some(kind)).collect()
}

#[test]
fn a_guest_moves_and_its_stream_can_be_inspected() {
    let (words, inspected) = demo(&["--transport", "pci", "--rings", "packed", "--hops", "2"]);
    assert_eq!(of_kind(&words, "moves").len(), 2);
    let proof = of_kind(&words, "proof");
    assert_eq!(proof.first().and_then(|proof| proof.pointer("/problems/0")), None);
    let done = |what: &str| proof.first()?.pointer(&format!("/report/{what}"))?.as_u64();
    assert_eq!(done("transport_resets"), Some(2));
    assert!(done("connections") > Some(1), "it connected anew: {proof:?}");
    assert!(
        ["messages", "keys", "inflated", "deflated"].iter().all(|what| done(what) > Some(0)),
        "{proof:?}"
    );
    let steps = of_kind(&words, "step");
    let layers: Vec<_> = steps.iter().filter_map(|step| step.get("layer")?.as_str()).collect();
    assert!(["core", "transport", "device"].iter().all(|layer| layers.contains(layer)));
    let document: Value = serde_json::from_slice(&inspected).unwrap();
    let devices = document.get("devices").and_then(Value::as_array).expect("devices");
    assert_eq!(devices.len(), 8);
    let queues: usize =
        devices.iter().filter_map(|device| device.get("queues")?.as_array()).map(Vec::len).sum();
    assert_eq!(queues, 64);
}

#[test]
fn a_guest_survives_the_death_of_either_host() {
    for fault in ["setup", "active", "device", "completed"] {
        let (words, _) = demo(&["--hops", "1", "--fault", fault]);
        assert_eq!(of_kind(&words, "fault").len(), 1, "{fault}");
        let stays = of_kind(&words, "stays");
        assert_eq!(stays.len(), usize::from(fault != "completed"), "{fault}");
        assert!(stays.iter().all(|word| word.get("goes_on") == Some(&Value::Bool(true))), "{fault}");
    }
}
