//! `#[derive(VmState)]`: fields and their attributes.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use proptest::prelude::*;
use vmstate::types::{Bitmap, Counted};
use vmstate::{Error, ErrorKind, Reader, VmState, Writer};

/// What the destination knows of the device.
#[derive(Debug)]
struct Shape {
    queues: Option<u16>,
    has_table: bool,
}

const SHAPE: Shape = Shape { queues: Some(3), has_table: true };
const MAX_ENTRIES: usize = 4;

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "ring", version = 2, minimum_version = 1)]
struct Ring {
    last_avail_idx: u16,
    #[vmstate(since = 2)]
    used_wrap_counter: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "marker")]
struct Marker;

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "device", version = 4, minimum_version = 2, context = Shape, post_load = check)]
struct Device {
    #[vmstate(rename = "parent_obj.status")]
    status: u8,
    #[vmstate(equal = cx.queues)]
    queues: u16,
    #[vmstate(count = queues, max = MAX_ENTRIES)]
    rings: Vec<Ring>,
    #[vmstate(since = 3)]
    r#type: Option<u8>,
    #[vmstate(max = 4)]
    macs: Counted<u32, [u8; 6]>,
    #[vmstate(when = cx.has_table && version >= 2, count = u32::from(queues) * 2)]
    table: Option<Vec<u8>>,
    bits: u8,
    #[vmstate(count = bits, max = 128)]
    vlans: Bitmap,
    marker: Marker,
    // Named as the derived code's own parameters are.
    input: u8,
    out: u8,
}

fn check(device: &mut Device, shape: &Shape) -> Result<(), ErrorKind> {
    if device.input != 0 && shape.has_table {
        return Err(ErrorKind::Invalid("input with a table".into()));
    }
    device.out = device.out.min(9);
    Ok(())
}

fn device() -> Device {
    Device {
        status: 0xf,
        queues: 3,
        rings: [1, 2, 3].map(|last_avail_idx| Ring { last_avail_idx, used_wrap_counter: Some(true) }).into(),
        r#type: Some(7),
        macs: vec![[0xaa; 6]].into(),
        table: Some(vec![1, 2, 3, 4, 5, 6]),
        bits: 65,
        vlans: vec![1 << 63, 1].into(),
        marker: Marker,
        input: 0,
        out: 9,
    }
}

const DEVICE: &str = "0f 0003 000101 000201 000301 07 00000001aaaaaaaaaaaa 010203040506 \
                      41 80000000000000000000000000000001 00 09";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

fn load(hex: &str, version: u32, shape: &Shape) -> Result<Device, Error> {
    let bytes = bytes(hex);
    let mut input = Reader::new(&bytes, 0x100);
    let device = Device::load_body(&mut input, version, shape)?;
    input.finish()?;
    Ok(device)
}

/// The message of the failure to load `DEVICE` with one piece of it replaced.
fn error(from: &str, to: &str) -> String {
    assert_eq!(DEVICE.matches(from).count(), 1, "{from} is not in one place");
    load(&DEVICE.replace(from, to), 4, &SHAPE).unwrap_err().to_string()
}

fn save(device: &Device) -> Vec<u8> {
    let mut out = Writer::new();
    device.save_body(&mut out);
    out.into_bytes()
}

#[test]
fn fields_lie_on_the_wire_in_the_order_of_the_struct() {
    assert_eq!(save(&device()), bytes(DEVICE));
    assert_eq!(load(DEVICE, 4, &SHAPE).unwrap(), device());
}

#[test]
fn versions_outside_the_range_are_refused() {
    let newer = load(DEVICE, 5, &SHAPE).unwrap_err();
    assert_eq!(newer.to_string(), "device at 0x100: version 5, expected 2 to 4");
    let older = load(DEVICE, 1, &SHAPE).unwrap_err();
    assert_eq!(older.to_string(), "device at 0x100: version 1, expected 2 to 4");
}

#[test]
fn since_leaves_a_field_out_of_older_versions() {
    let hex = DEVICE.replace(" 07 ", " ");
    let loaded = load(&hex, 2, &SHAPE).unwrap();
    assert_eq!(loaded, Device { r#type: None, ..device() });
    assert_eq!(save(&loaded), bytes(&hex));
    // A struct inside another has no version of its own on the wire: it is always the newest.
    assert_eq!(loaded.rings[0].used_wrap_counter, Some(true));
}

#[test]
fn when_leaves_a_field_out_if_the_expression_is_false() {
    let hex = DEVICE.replace(" 010203040506 ", " ");
    let shape = Shape { has_table: false, ..SHAPE };
    let loaded = load(&hex, 4, &shape).unwrap();
    assert_eq!(loaded, Device { table: None, ..device() });
    assert_eq!(save(&loaded), bytes(&hex));
}

#[test]
fn equal_names_both_values_and_the_place_of_the_field() {
    assert_eq!(error("0f 0003", "0f 0004"), "device › queues at 0x101: 4, expected 3");
    let unknown = Shape { queues: None, ..SHAPE };
    let hex = DEVICE.replace("0003 000101 000201 000301", "0001 000101").replace("010203040506", "0102");
    assert_eq!(load(&hex, 4, &unknown).unwrap().queues, 1);
}

#[test]
fn equal_looks_inside_what_may_be_missing() {
    #[derive(Debug, PartialEq, VmState)]
    #[vmstate(name = "newer", version = 2, minimum_version = 1)]
    struct Newer {
        limit: u8,
        #[vmstate(since = 2, equal = Some(limit))]
        again: Option<u8>,
    }
    let load = |bytes: &[u8], version| Newer::load_body(&mut Reader::new(bytes, 0), version, &());
    assert_eq!(load(&[3], 1).unwrap(), Newer { limit: 3, again: None });
    assert_eq!(load(&[3, 3], 2).unwrap(), Newer { limit: 3, again: Some(3) });
    assert_eq!(load(&[3, 4], 2).unwrap_err().to_string(), "newer › again at 0x1: 4, expected 3");
}

#[test]
fn counts_are_bounded() {
    assert_eq!(error("00000001aa", "00000005aa"), "device › macs at 0x10d: 5 elements, at most 4");
    assert_eq!(error(" 41 ", " 81 "), "device › vlans at 0x11e: 129 bits, at most 128");
    let unknown = Shape { queues: None, ..SHAPE };
    let hex = DEVICE.replace("0f 0003", "0f 0005");
    let rings = load(&hex, 4, &unknown).unwrap_err();
    assert_eq!(rings.to_string(), "device › rings at 0x103: 5 elements, at most 4");
}

#[test]
fn errors_name_the_field_by_its_name_in_the_stream() {
    let empty = load("", 4, &SHAPE).unwrap_err();
    assert_eq!(empty.to_string(), "device › parent_obj.status at 0x100: needs 1 bytes, 0 are left");
    let no_type = load("0f 0003 000101 000201 000301", 4, &SHAPE).unwrap_err();
    assert_eq!(no_type.to_string(), "device › type at 0x10c: needs 1 bytes, 0 are left");
    let short_ring = load("0f 0003 000101 000201 0003", 4, &SHAPE).unwrap_err();
    assert_eq!(
        short_ring.to_string(),
        "device › rings[2] › ring › used_wrap_counter at 0x10b: needs 1 bytes, 0 are left"
    );
}

#[test]
fn post_load_checks_and_changes_what_was_read() {
    assert_eq!(error(" 00 09", " 01 09"), "device at 0x130: input with a table");
    assert_eq!(load(&DEVICE.replace(" 00 09", " 00 ff"), 4, &SHAPE).unwrap().out, 9);
}

#[test]
fn post_load_without_a_context_gets_none() {
    fn odd(one: &mut One, (): &()) -> Result<(), ErrorKind> {
        if one.value % 2 == 1 { Ok(()) } else { Err(ErrorKind::Invalid("not odd".into())) }
    }
    #[derive(Debug, VmState)]
    #[vmstate(name = "one", post_load = odd)]
    struct One {
        value: u8,
    }
    // It works with any context all the same.
    assert_eq!(One::load_body(&mut Reader::new(&[3], 0), 1, &SHAPE).unwrap().value, 3);
    let error = One::load_body(&mut Reader::new(&[4], 0), 1, "any").unwrap_err();
    assert_eq!(error.to_string(), "one at 0x1: not odd");
}

#[test]
fn elements_without_bytes_are_not_free() {
    #[derive(Debug, VmState)]
    #[vmstate(name = "markers")]
    struct Markers {
        #[vmstate(count = u32::MAX)]
        markers: Vec<Marker>,
    }
    let error = Markers::load_body(&mut Reader::new(&[], 0), 1, &()).map(|m| m.markers.len()).unwrap_err();
    assert_eq!(error.to_string(), "markers › markers at 0x0: needs 4294967295 bytes, 0 are left");
}

proptest! {
    #[test]
    fn any_bytes_load_to_what_saves_as_them(body in proptest::collection::vec(any::<u8>(), 0..80)) {
        #[derive(Debug, VmState)]
        #[vmstate(name = "any", version = 2, minimum_version = 1)]
        struct Any {
            flags: u8,
            #[vmstate(when = flags & 1 != 0)]
            one: Option<u32>,
            #[vmstate(count = flags >> 4)]
            many: Vec<u16>,
            #[vmstate(when = one.is_none(), max = 8)]
            counted: Option<Counted<u8, u8>>,
            #[vmstate(count = flags)]
            bits: Bitmap,
            #[vmstate(since = 2)]
            last: Option<[u8; 3]>,
        }
        for version in 1..=2 {
            let mut input = Reader::new(&body, 0);
            if let Ok(any) = Any::load_body(&mut input, version, &()) {
                let mut out = Writer::new();
                VmState::<()>::save_body(&any, &mut out);
                prop_assert_eq!(out.as_bytes(), &body[..body.len() - input.left()]);
            }
        }
    }
}
