//! `vmig relay --complete-io`: a recorded guest with a request in flight goes from `vmig send` to `vmig receive`, and
//! the request is answered on the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{project, run};
use serde_json::Value;

const STREAM: &str = "fixtures/x86-q35-blk-ioerr-q10.0.mig.zst";
/// The second of its block devices has a request in flight, in its first queue, which has this vector.
const VECTOR: &str = "0000:00:03.0/virtio-blk.transport.pci.msix.table[1].control";
const DEVICE: &str = "0000:00:03.0/virtio-blk";

/// What became of the three.
struct Relayed {
    sent: Output,
    relayed: Output,
    received: Output,
}

fn start(dir: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmig"));
    command.args(arguments).args(["--json", "--timeout", "60"]).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(socket: &Path) {
    let start = Instant::now();
    while !socket.exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "nobody listens at {}", socket.display());
        sleep(Duration::from_millis(10));
    }
}

fn relay(dir: &Path, stream: &Path, options: &[&str]) -> Relayed {
    let receive = start(dir, &["receive", "unix:b", "-o", "got.mig"]);
    wait_for(&dir.join("b"));
    let relay = start(dir, &[&["relay", "unix:a", "unix:b"], options].concat());
    wait_for(&dir.join("a"));
    let send = start(dir, &["send", stream.to_str().unwrap(), "unix:a"]);
    let [sent, relayed, received] = [send, relay, receive].map(|child| child.wait_with_output().unwrap());
    Relayed { sent, relayed, received }
}

/// A disk of the size that the device has, and more or fewer sectors.
fn disk(dir: &Path, more: i64) {
    let decoded: Value = serde_json::from_slice(&run(&format!("decode {STREAM}")).stdout).unwrap();
    let sections = decoded["sections"].as_array().unwrap();
    let device = sections.iter().find(|section| section["name"] == DEVICE).unwrap();
    let capacity = device["state"]["core"]["config"].as_str().unwrap()[..16].to_owned();
    let sectors = i64::from_str_radix(&capacity, 16).unwrap().swap_bytes() + more;
    File::create(dir.join("disk.img")).unwrap().set_len(u64::try_from(sectors * 512).unwrap()).unwrap();
}

/// The device's first queue, and how many requests it has in flight, as `vmig inspect` has them.
fn inspect(stream: &Path) -> (Value, usize) {
    let inspected = run(&format!("inspect --json {}", stream.display()));
    let document: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let devices = document["devices"].as_array().unwrap();
    let device = devices.iter().find(|device| device["path"] == "0000:00:03.0").unwrap();
    assert_eq!(device["findings"].as_array().map(Vec::len), Some(0), "{device}");
    let requests = device["state"]["requests"].as_array().map_or(0, Vec::len);
    (device["queues"][0].clone(), requests)
}

#[test]
fn a_request_in_flight_arrives_answered() {
    let dir = tempfile::TempDir::new().unwrap();
    disk(dir.path(), 0);
    let (before, in_flight) = inspect(&project().join(STREAM));
    assert_eq!((&before["inuse"], in_flight), (&Value::from(1), 1));

    // Of a vector that is masked the interrupt is kept: all of it can be done here.
    let masked = dir.path().join("masked.mig");
    let edited = run(&format!("edit {STREAM} -o {} {VECTOR}=1", masked.display()));
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));

    let options = ["--complete-io", "blk1=disk.img", "--save", "copy.mig"];
    let done = relay(dir.path(), &masked, &options);
    let said = String::from_utf8_lossy(&done.relayed.stdout).into_owned();
    assert!(done.relayed.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.relayed.stderr));
    assert!(done.sent.status.success() && done.received.status.success());
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let served = events.iter().find(|event| event["event"] == "served").unwrap();
    let counts = [&served["section"], &served["again"], &served["left"]];
    assert_eq!(counts, [&Value::from(DEVICE), &Value::from(0), &Value::from(0)]);
    let requests: u64 = served["queues"]["0"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(requests, 1, "{served}");

    for arrived in ["got.mig", "copy.mig"] {
        let (after, in_flight) = inspect(&dir.path().join(arrived));
        assert_eq!((&after["inuse"], in_flight), (&Value::from(0), 0), "{arrived}");
        assert_eq!(after["used_idx"], before["last_avail_idx"], "{arrived}");
        assert!(run(&format!("verify {}", dir.path().join(arrived).display())).status.success(), "{arrived}");
    }
}

#[test]
fn a_disk_that_is_another_leaves_the_guest_at_its_source() {
    let dir = tempfile::TempDir::new().unwrap();
    disk(dir.path(), 1);
    for (name, why) in [
        ("blk1=disk.img", "sectors of 512 bytes, the one that was given has"),
        ("blk7=disk.img", "blk7: no such block device; there: blk0 (0000:00:02.0), blk1 (0000:00:03.0)"),
    ] {
        let done = relay(dir.path(), &project().join(STREAM), &["--complete-io", name]);
        assert_eq!(done.relayed.status.code(), Some(2));
        let said = String::from_utf8_lossy(&done.relayed.stderr).into_owned();
        assert!(said.contains(why), "{said}");
        assert_eq!(done.sent.status.code(), Some(2), "the source was told");
        assert!(!done.received.status.success() && !dir.path().join("got.mig").exists());
        for socket in ["a", "b"] {
            drop(std::fs::remove_file(dir.path().join(socket)));
        }
    }
}

#[test]
fn what_cannot_be_is_refused_before_a_guest_comes() {
    let stream = run("relay unix:a unix:b --mode stream --complete-io blk0=Cargo.toml");
    assert!(String::from_utf8_lossy(&stream.stderr).contains("use --mode hold"));
    let missing = run("relay unix:a unix:b --complete-io blk0=no/such.img");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot open no/such.img for writing"));
    assert_eq!((stream.status.code(), missing.status.code()), (Some(2), Some(2)));
}
