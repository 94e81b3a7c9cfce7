//! `vmig schema --against` with dumps.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::transcript;

/// What QEMU's `-dump-vmstate` writes of a device with fields of these sizes.
fn dump(machine: &str, version: u32, sizes: &[u64]) -> String {
    let fields: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(index, size)| {
            serde_json::json!({"field": format!("f{index}"), "version_id": 0, "field_exists": false, "size": size})
        })
        .collect();
    let body = serde_json::json!({
        "name": "nic", "version_id": version, "minimum_version_id": 1, "Fields": fields,
    });
    serde_json::json!({
        "vmschkmachine": {"Name": machine},
        "nic": {"Name": "nic", "version_id": version, "minimum_version_id": 1, "Description": body},
    })
    .to_string()
}

#[test]
fn says_what_breaks_in_each_direction() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let old = file("old.json", dump("pc-1.0", 1, &[4, 2]));
    let new = file("new.json", dump("pc-2.0", 2, &[4, 2, 8]));
    let broken = file("broken.json", "{\"a\": 1}".to_owned());

    let same = transcript(&format!("schema --against {old} {old}"));
    assert!(same.ends_with("--- exit status 0\n") && same.contains("nothing would break"), "{same}");

    let other = transcript(&format!("schema --against {old} {new}"));
    assert!(other.ends_with("--- exit status 1\n"), "{other}");
    assert!(other.contains("breaks    nic › f2: 8 bytes, which only the destination has"), "{other}");
    assert!(other.contains("breaks    nic: version 2 is too new: the destination reads up to 1"), "{other}");
    assert!(other.contains("(pc-1.0) → ") && other.contains("(pc-2.0) → "), "{other}");

    let neither = transcript(&format!("schema virtio-none --against {old} {new}"));
    assert!(neither.ends_with("--- exit status 2\n"), "{neither}");
    let broken = transcript(&format!("schema --against {broken}"));
    assert!(
        broken.contains("not the output of -dump-vmstate") && broken.ends_with("--- exit status 2\n"),
        "{broken}"
    );
}
