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

/// Whether guests can come by post-copy here; if not, it is said.
fn has_userfaultfd() -> bool {
    let device = std::fs::File::open("/dev/userfaultfd");
    if let Err(error) = &device {
        eprintln!("SKIPPED: no guest moves by post-copy here: /dev/userfaultfd: {error}");
    }
    device.is_ok()
}

#[test]
fn a_guest_moves_by_post_copy_and_once_more_by_pre_copy() {
    if !has_userfaultfd() {
        return;
    }
    let (words, inspected) = demo(&["--postcopy", "--hops", "2"]);
    let by: Vec<_> = of_kind(&words, "moves").iter().filter_map(|word| word.get("by")?.as_str()).collect();
    assert_eq!(by, ["post-copy", "post-copy", "pre-copy"]);
    // Source and destination say it of each move.
    let late: Vec<_> = of_kind(&words, "moved").iter().filter_map(|word| word.get("postcopy")).collect();
    assert_eq!(late.len(), 4);
    let bytes = |late: &&Value| late.get("bytes").and_then(Value::as_u64).is_some_and(|bytes| bytes > 0);
    assert!(late.iter().all(bytes), "{late:?}");
    let states = of_kind(&words, "migration");
    let active = |word: &&&Value| word.get("state").and_then(Value::as_str) == Some("postcopy-active");
    assert_eq!(states.iter().filter(active).count(), 4);
    assert!(of_kind(&words, "downtimes").iter().all(|word| word.get("precopy").is_some()));
    let proof = of_kind(&words, "proof");
    assert_eq!(proof.first().and_then(|proof| proof.pointer("/hops")), Some(&Value::from(3)));
    assert!(serde_json::from_slice::<Value>(&inspected).is_ok());
}

#[test]
fn a_guest_survives_the_death_of_either_host_before_and_after_post_copy() {
    if !has_userfaultfd() {
        return;
    }
    for fault in ["active", "device", "completed"] {
        let (words, _) = demo(&["--postcopy", "--hops", "1", "--fault", fault]);
        let stays = of_kind(&words, "stays");
        assert_eq!(stays.len(), usize::from(fault != "completed"), "{fault}");
        assert!(stays.iter().all(|word| word.get("goes_on") == Some(&Value::Bool(true))), "{fault}");
    }
}
