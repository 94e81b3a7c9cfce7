//! The JSON description: what QEMU writes is read, and what derived structs give means the same.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use vmstate::types::{Buffer, Unused};
use vmstate::vmdesc::{self, DeviceDesc, FieldDesc, StructDesc};
use vmstate::{ErrorKind, Field, VmState};

fn structure(json: &str) -> StructDesc {
    serde_json::from_str(json).unwrap()
}

fn device(json: &str) -> DeviceDesc {
    serde_json::from_str(json).unwrap()
}

/// Checks that the value is described as QEMU describes its own.
fn assert_described<T: VmState + Field>(value: &T, qemu: &str) {
    let (ours, qemu) = (value.describe_body(), structure(qemu));
    assert_eq!(ours.flattened(), qemu.flattened());
    assert_eq!(
        (&ours.vmsd_name, ours.version, ours.body_size()),
        (&qemu.vmsd_name, qemu.version, qemu.body_size())
    );
    let mut out = vmstate::Writer::new();
    value.save_body(&mut out);
    assert_eq!(ours.body_size(), Some(out.len() as u64));
}

#[derive(Debug, VmState)]
#[vmstate(name = "timer", version = 2, minimum_version = 1)]
struct TimerState {
    cpu_ticks_offset: i64,
    unused: Unused<8>,
    cpu_clock_offset: i64,
}

#[test]
fn timer() {
    assert_described(
        &TimerState { cpu_ticks_offset: -1, unused: Unused, cpu_clock_offset: 7 },
        r#"{"vmsd_name": "timer", "version": 2, "fields": [
            {"name": "cpu_ticks_offset", "type": "int64", "size": 8},
            {"name": "unused", "type": "unused_buffer", "size": 8},
            {"name": "cpu_clock_offset", "type": "int64", "size": 8}]}"#,
    );
}

#[derive(Debug, VmState)]
#[vmstate(name = "globalstate")]
struct GlobalState {
    size: u32,
    runstate: [u8; 32],
    has_vm_was_suspended: u8,
    vm_was_suspended: u8,
    unused: Buffer<66>,
}

#[test]
fn globalstate() {
    let state = GlobalState {
        size: 7,
        runstate: [0; 32],
        has_vm_was_suspended: 0,
        vm_was_suspended: 0,
        unused: Buffer::default(),
    };
    assert_described(
        &state,
        r#"{"vmsd_name": "globalstate", "version": 1, "fields": [
            {"name": "size", "type": "uint32", "size": 4},
            {"name": "runstate", "type": "buffer", "size": 32},
            {"name": "has_vm_was_suspended", "type": "uint8", "size": 1},
            {"name": "vm_was_suspended", "type": "uint8", "size": 1},
            {"name": "unused", "type": "buffer", "size": 66}]}"#,
    );
}

#[derive(Debug, VmState)]
#[vmstate(name = "configuration")]
struct Configuration {
    len: u32,
    #[vmstate(count = len)]
    name: Vec<u8>,
    #[vmstate(subsection)]
    target_page_bits: Option<TargetPageBits>,
}

#[derive(Debug, VmState)]
#[vmstate(name = "configuration/target-page-bits")]
struct TargetPageBits {
    target_page_bits: u32,
}

#[test]
fn configuration() {
    let page_bits = TargetPageBits { target_page_bits: 12 };
    assert_described(
        &Configuration { len: 9, name: b"virt-10.0".to_vec(), target_page_bits: Some(page_bits) },
        r#"{"vmsd_name": "configuration", "version": 1, "fields": [
            {"name": "len", "type": "uint32", "size": 4},
            {"name": "name", "type": "buffer", "size": 9}], "subsections": [
            {"vmsd_name": "configuration/target-page-bits", "version": 1, "fields": [
                {"name": "target_page_bits", "type": "uint32", "size": 4}]}]}"#,
    );
}

#[derive(Debug, VmState)]
#[vmstate(name = "SCSIDevice")]
struct ScsiDevice {
    #[vmstate(rename = "unit_attention.key")]
    key: u8,
    sense_is_ua: bool,
    sense: [u8; 96],
    sense_len: u32,
}

#[derive(Debug, VmState)]
#[vmstate(name = "scsi-disk")]
struct ScsiDisk {
    qdev: ScsiDevice,
    media_changed: bool,
}

#[test]
fn nested_struct() {
    let qdev = ScsiDevice { key: 6, sense_is_ua: true, sense: [0; 96], sense_len: 18 };
    assert_described(
        &ScsiDisk { qdev, media_changed: false },
        r#"{"vmsd_name": "scsi-disk", "version": 1, "fields": [
            {"name": "qdev", "type": "struct", "struct": {"vmsd_name": "SCSIDevice", "version": 1, "fields": [
                {"name": "unit_attention.key", "type": "uint8", "size": 1},
                {"name": "sense_is_ua", "type": "bool", "size": 1},
                {"name": "sense", "array_len": 96, "type": "uint8", "size": 1},
                {"name": "sense_len", "type": "uint32", "size": 4}]}, "size": 102},
            {"name": "media_changed", "type": "bool", "size": 1}]}"#,
    );
}

#[derive(Debug, VmState)]
#[vmstate(name = "fdc")]
struct Controller {
    drives: [Drive; 2],
}

#[derive(Debug, VmState)]
#[vmstate(name = "fdrive")]
struct Drive {
    head: u8,
    #[vmstate(subsection)]
    media_rate: Option<MediaRate>,
}

#[derive(Debug, VmState)]
#[vmstate(name = "fdrive/media_rate")]
struct MediaRate {
    media_rate: u8,
}

const DRIVE: &str = r#""type": "struct", "struct": {"vmsd_name": "fdrive", "version": 1, "fields": [
    {"name": "head", "type": "uint8", "size": 1}], "subsections": [
    {"vmsd_name": "fdrive/media_rate", "version": 1, "fields": [
        {"name": "media_rate", "type": "uint8", "size": 1}]}]}, "size": 25"#;

#[test]
fn arrays_with_an_entry_for_each_element() {
    let drive = || Drive { head: 0, media_rate: Some(MediaRate { media_rate: 0 }) };
    let controller = Controller { drives: [drive(), drive()] };
    let qemu = |places: [&str; 2]| {
        let entries = places.map(|place| format!(r#"{{"name": "drives", {place} {DRIVE}}}"#)).join(",");
        format!(r#"{{"vmsd_name": "fdc", "version": 1, "fields": [{entries}]}}"#)
    };
    assert_described(&controller, &qemu([r#""index": 0,"#, r#""index": 1,"#]));
    assert_described(&controller, &qemu(["", ""])); // QEMU 10.0
}

#[test]
fn flattening_keeps_what_differs() {
    let flat = |fields: &[FieldDesc]| {
        let fields = fields.to_vec();
        StructDesc { fields, ..StructDesc::new("s", 1) }.flattened()
    };
    let entry = |ty, size, array_len| FieldDesc { array_len, ..FieldDesc::new("x", ty, size) };
    let three = flat(&[entry("uint16", 2, Some(3))]);
    assert_eq!(three, flat(&[entry("uint16", 2, None), entry("uint16 equal", 2, Some(2))]));
    assert_eq!(three[0].path, "x[0..3]");
    assert_ne!(three, flat(&[entry("uint16", 2, Some(4))]));
    assert_ne!(three, flat(&[entry("int16", 2, Some(3))]));
    assert_ne!(three, flat(&[entry("uint16", 2, Some(2)), entry("nullptr", 1, None)]));
    assert_eq!(flat(&[entry("buffer", 0, None)]), []);
    // However many elements are claimed, there is one line of them.
    assert_eq!(flat(&[entry("uint16", 2, Some(u64::MAX)), entry("uint16", 2, Some(u64::MAX))]).len(), 1);
}

#[test]
fn whole_description() {
    let json = br#"{ "page_size" : 4096, "devices" : [
        { "name" : "slirp", "instance_id" : 0, "size" : 131, "fields" : [
            { "name" : "data", "size" : 131, "type" : "buffer" } ] },
        { "name" : "cpu", "instance_id" : 1, "vmsd_name" : "cpu", "version" : 12, "fields" : [
            { "name" : "env.dr", "array_len" : 8, "type" : "uint64", "size" : 8 } ] } ] }"#;
    let description = vmdesc::parse(json, 0).unwrap();
    assert_eq!(description.page_size, 4096);
    assert_eq!(description.device("slirp", 0).unwrap().body_size(), Some(131));
    assert_eq!(description.device("cpu", 1).unwrap().body_size(), Some(64));
    assert_eq!(description.device("cpu", 0), None);
    let again = vmdesc::parse(&serde_json::to_vec(&description).unwrap(), 0).unwrap();
    assert_eq!(again, description);
}

#[test]
fn sizes_that_cannot_be() {
    let of = |fields: &str| {
        device(&format!(r#"{{"name": "d", "instance_id": 0, "vmsd_name": "d", "fields": [{fields}]}}"#))
            .body_size()
    };
    let most = u64::MAX;
    assert_eq!(of(&format!(r#"{{"name": "x", "array_len": {most}, "type": "uint16", "size": 2}}"#)), None);
    let half = format!(r#"{{"name": "x", "array_len": {most}, "type": "uint8", "size": 1}}"#);
    assert_eq!(of(&half), Some(most));
    assert_eq!(of(&format!("{half},{half}")), None);
    assert_eq!(of(r#"{"name": "x", "array_len": 3, "type": "buffer", "size": 0}"#), Some(0));
}

#[test]
fn an_array_that_stops_at_a_null_has_no_known_size() {
    // QEMU 7.2, s390x: one of the 256 is a struct of 768 bytes.
    let css = r#"{"vmsd_name": "s390_css", "version": 1, "fields": [
        {"name": "css", "array_len": 256, "type": "struct", "struct": {}, "size": 1},
        {"name": "default_cssid", "type": "uint8", "size": 1}]}"#;
    assert_eq!(structure(css).body_size(), None);
}

#[test]
fn what_is_no_description() {
    let no = |json: &str, why: &str| {
        let error = vmdesc::parse(json.as_bytes(), 0x100).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Description(text) if text.contains(why)), "{error}");
    };
    no("", "EOF");
    no("[]", "invalid");
    no(r#"{"devices": []}"#, "page_size");
    no(r#"{"page_size": 1, "devices": [{"name": "d"}]}"#, "instance_id");
    no(r#"{"page_size": 1, "devices": [{"name": "d", "instance_id": -1}]}"#, "integer");
    no(
        r#"{"page_size": 1, "devices": [{"name": "d", "instance_id": 0, "fields": [{"type": "x"}]}]}"#,
        "name",
    );
    no(r#"{"page_size": 1, "devices": []} x"#, "trailing");
}
