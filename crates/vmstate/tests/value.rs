//! Values: bodies decoded by their description, shown, edited and encoded again.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use serde_json::json;
use vmstate::value::{StructValue, Value};
use vmstate::vmdesc::{FieldDesc, StructDesc};
use vmstate::{Error, ErrorKind, Reader, Result, Writer};

fn description(json: serde_json::Value) -> StructDesc {
    serde_json::from_value(json).unwrap()
}

fn decode(description: &StructDesc, body: &[u8]) -> Result<StructValue> {
    let mut input = Reader::new(body, 0x100);
    let value = StructValue::decode(&mut input, description)?;
    input.finish()?;
    Ok(value)
}

fn encode(value: &StructValue) -> Vec<u8> {
    let mut out = Writer::new();
    value.encode(&mut out);
    out.into_bytes()
}

/// Decodes a body, checks that it is encoded to the same bytes, directly and by way of JSON, and gives
/// that JSON.
fn shown(description: &StructDesc, body: &[u8]) -> serde_json::Value {
    let value = decode(description, body).unwrap();
    assert_eq!(encode(&value), body);
    assert_eq!(value.size(), body.len() as u64);
    let text = serde_json::to_string(&value).unwrap();
    let json = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&json).unwrap(), text, "no key is there twice");
    assert_eq!(StructValue::from_json(description, &json).unwrap(), value);
    json
}

fn field(name: &str, ty: &str, size: u64) -> FieldDesc {
    FieldDesc::new(name, ty, size)
}

fn structure(fields: Vec<FieldDesc>) -> StructDesc {
    StructDesc { fields, ..StructDesc::new("device", 1) }
}

fn array(length: u64, entry: FieldDesc) -> FieldDesc {
    FieldDesc { array_len: Some(length), ..entry }
}

fn nested(name: &str, size: u64, fields: Vec<FieldDesc>) -> FieldDesc {
    FieldDesc { structure: Some(structure(fields)), ..field(name, "struct", size) }
}

#[test]
fn every_form() {
    let forms = [
        ("uint8", 1, "ff", json!(255)),
        ("uint16", 2, "fffe", json!(65534)),
        ("uint32 equal", 4, "00000102", json!(258)),
        ("uint64", 8, "ffffffffffffffff", json!(u64::MAX)),
        ("int8", 1, "ff", json!(-1)),
        ("int16", 2, "8000", json!(-32768)),
        ("int32 le", 4, "fffffffe", json!(-2)),
        ("int64", 8, "8000000000000000", json!(i64::MIN)),
        ("bool", 1, "00", json!(false)),
        ("bool", 1, "01", json!(true)),
        ("bool", 1, "02", json!(2)),
        ("timer", 8, "00000000000003e8", json!(1000)),
        ("timer", 8, "ffffffffffffffff", json!(null)),
        ("buffer", 3, "c0ffee", json!("c0ffee")),
        ("buffer", 0, "", json!("")),
        ("unused_buffer", 2, "dead", json!("dead")),
        ("virtio", 5, "0102030405", json!("0102030405")),
        ("uint32", 3, "010203", json!("010203")),
    ];
    for (ty, size, bytes, json) in forms {
        let shown = shown(&structure(vec![field("x", ty, size)]), &hex::decode(bytes).unwrap());
        assert_eq!(shown, json!({ "x": json }), "{ty}");
    }
}

#[test]
fn opaque_bytes_keep_the_name_of_their_form() {
    let value = decode(&structure(vec![field("x", "scsi-requests", 1)]), &[0]).unwrap();
    assert_eq!(value.fields[0].1, Value::Bytes { ty: "scsi-requests".into(), bytes: vec![0] });
}

#[test]
fn arrays_of_either_kind() {
    let element = |index: Option<u64>| FieldDesc { index, ..nested("regs", 1, vec![field("x", "uint8", 1)]) };
    let kinds = [
        vec![array(2, element(None))],
        vec![element(Some(0)), element(Some(1))],
        vec![element(None), element(None)],
    ];
    for fields in kinds {
        assert_eq!(shown(&structure(fields), &[7, 8]), json!({"regs": [{"x": 7}, {"x": 8}]}));
    }
}

#[test]
fn an_array_of_pointers_some_of_them_null() {
    let fields = vec![
        array(2, field("css", "nullptr", 1)),
        nested("css", 1, vec![field("x", "uint8", 1)]),
        field("css", "nullptr", 1),
        field("last", "uint8", 1),
    ];
    assert_eq!(
        shown(&structure(fields), b"00\x0900"),
        json!({"css": ["30", "30", {"x": 9}, "30"], "last": 48})
    );
}

#[test]
fn an_array_that_stops_at_a_null_takes_what_nothing_else_does() {
    let empty = FieldDesc { structure: Some(StructDesc::default()), ..array(4, field("css", "struct", 1)) };
    let mut css = structure(vec![field("first", "uint8", 1), empty.clone(), field("last", "uint16", 2)]);
    css.subsections.push(StructDesc::new("device/s", 1));
    let body = b"\x0100\x07\x07\x07\x07\x07\x070\xff\xfe\x05\x08device/s\0\0\0\x01";
    let json = shown(&css, body);
    assert_eq!(json["css"], "3030070707070707".to_owned() + "30");
    assert_eq!(json["last"], 0xfffe);

    let error = decode(&css, b"\x01\xff\xfe").unwrap_err();
    assert_eq!(error.to_string(), "device › css at 0x101: needs 16 bytes, 2 are left");
    css.fields.push(FieldDesc { name: "more".into(), ..empty });
    assert!(matches!(decode(&css, body).unwrap_err().kind(), ErrorKind::Unsupported(_)));
}

#[test]
fn tmp_fields_are_structs() {
    let early = description(json!({"vmsd_name": "virtio-mem-device-early", "version": 1, "fields": [
        {"name": "tmp", "type": "tmp", "vmsd_name": "sanity-checks", "version": 0, "fields": [
            {"name": "addr", "type": "uint64", "size": 8}, {"name": "node", "type": "uint32", "size": 4}],
         "size": 12},
        {"name": "size", "type": "uint64", "size": 8}]}));
    let body = hex::decode("0000000100000000000000020000000000000003").unwrap();
    assert_eq!(shown(&early, &body), json!({"tmp": {"addr": 1_u64 << 32, "node": 2}, "size": 3}));
}

#[test]
fn names_that_come_again() {
    let unused = || field("unused", "unused_buffer", 1);
    let fields = vec![unused(), field("x", "uint8", 1), unused(), field("subsections", "uint8", 1)];
    assert_eq!(
        shown(&structure(fields), &[1, 2, 3, 4]),
        json!({"unused": "01", "x": 2, "unused#2": "03", "subsections#2": 4})
    );
}

fn with_subsections() -> StructDesc {
    let mut inner = structure(vec![field("page", "uint8", 1)]);
    inner
        .subsections
        .push(StructDesc { vmsd_name: "device/inner".into(), ..structure(vec![field("y", "int8", 1)]) });
    let regs = FieldDesc { structure: Some(inner), ..array(2, field("env.regs", "struct", 1 + 18 + 1)) };
    let mut outer = structure(vec![field("env", "uint8", 1), regs]);
    let xsave = vec![field("env.xcr0", "uint64", 8), array(3, field("t", "uint16", 2))];
    outer.subsections.push(StructDesc { vmsd_name: "device/xsave".into(), version: 3, ..structure(xsave) });
    outer
}

fn subsection_bytes() -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(9);
    for number in [1, 2] {
        out.u8(number);
        out.u8(5);
        out.name("device/inner");
        out.u32(1);
        out.u8(0xf0 + number);
    }
    out.u8(5);
    out.name("device/xsave");
    out.u32(3);
    out.u64(7);
    out.bytes(&[0, 1, 0, 2, 0, 3]);
    out.into_bytes()
}

#[test]
fn subsections_of_sections_and_structs() {
    let json = shown(&with_subsections(), &subsection_bytes());
    assert_eq!(
        json,
        json!({
            "env": 9,
            "env.regs": [
                {"page": 1, "subsections": {"device/inner": {"y": -15}}},
                {"page": 2, "subsections": {"device/inner": {"y": -14}}},
            ],
            "subsections": {"device/xsave": {"env.xcr0": 7, "t": [1, 2, 3]}},
        })
    );
}

#[test]
fn paths() {
    let (description, body) = (with_subsections(), subsection_bytes());
    let mut value = decode(&description, &body).unwrap();
    let number = |value: &StructValue, path: &str| value.get(path).and_then(Value::as_i64);
    assert_eq!(number(&value, "env"), Some(9));
    assert_eq!(number(&value, "env.regs[1].page"), Some(2));
    assert_eq!(number(&value, "env.regs[0].device/inner.y"), Some(-15));
    assert_eq!(number(&value, "device/xsave.env.xcr0"), Some(7));
    assert_eq!(number(&value, "device/xsave.t[2]"), Some(3));
    assert_eq!(value.get("env.regs").unwrap().as_array().unwrap().len(), 2);
    assert_eq!(value.subsection("device/xsave").unwrap().version, 3);
    for missing in [
        "",
        "en",
        "env.",
        "env.regs[2].page",
        "env.regs[0]page",
        "env.regs[-1]",
        "env.regs[0",
        "device/xsave",
        "env[0]",
    ] {
        assert_eq!(value.get(missing), None, "{missing}");
        assert_eq!(value.get_mut(missing), None, "{missing}");
    }
    // The place of a field is that of the bytes that change with it.
    for path in [
        "env",
        "env.regs[1].page",
        "env.regs[0].device/inner.y",
        "device/xsave.env.xcr0",
        "device/xsave.t[2]",
    ] {
        let before = encode(&value);
        value.set(path, &json!(99)).unwrap();
        let after = encode(&value);
        let offset = usize::try_from(value.offset_of(path).unwrap()).unwrap();
        let size = usize::try_from(value.get(path).unwrap().size()).unwrap();
        assert_ne!(after[offset..offset + size], before[offset..offset + size]);
        assert_eq!(after[..offset], before[..offset]);
        assert_eq!(after[offset + size..], before[offset + size..]);
    }
}

#[test]
fn setting_keeps_form_and_size() {
    let fields = vec![
        field("count", "uint16", 2),
        field("on", "bool", 1),
        field("at", "timer", 8),
        field("mac", "buffer", 6),
        array(2, field("list", "int8", 1)),
    ];
    let mut value = decode(&structure(fields), &[0; 19]).unwrap();
    value.set("count", &json!("0xffff")).unwrap();
    value.set("on", &json!(true)).unwrap();
    value.set("at", &json!(null)).unwrap();
    value.set("mac", &json!("525400123456")).unwrap();
    value.set("list[1]", &json!(-128)).unwrap();
    assert_eq!(hex::encode(encode(&value)), "ffff01ffffffffffffffff5254001234560080");

    let unchanged = value.clone();
    let mut refused = |path: &str, json: serde_json::Value| value.set(path, &json).unwrap_err().to_string();
    assert_eq!(refused("count", json!(65536)), "count at 0x0: 65536, expected a uint16");
    assert_eq!(refused("count", json!("0x-1")), "count at 0x0: \"0x-1\", expected a uint16");
    assert_eq!(refused("on", json!(256)), "on at 0x2: 256, expected a bool or a uint8");
    assert_eq!(refused("at", json!(-1)), "at at 0x3: -1, expected null or nanoseconds");
    assert_eq!(refused("mac", json!("5254")), "mac at 0xb: 2 bytes, expected 6 bytes");
    assert_eq!(refused("mac", json!("5x")), "mac at 0xb: \"5x\", expected bytes in hexadecimal");
    assert_eq!(refused("list[1]", json!(128)), "list[1] at 0x12: 128, expected an int8");
    assert_eq!(refused("list[1]", json!([1])), "list[1] at 0x12: an array, expected an int8");
    assert!(refused("list", json!([1, 2])).contains("one by one"));
    assert!(refused("nothing", json!(1)).contains("no such field"));
    assert_eq!(value, unchanged);
}

#[test]
fn errors_say_where() {
    let (description, body) = (with_subsections(), subsection_bytes());
    let error = |body: &[u8]| decode(&description, body).unwrap_err().to_string();
    assert_eq!(error(&[]), "device › env at 0x100: needs 1 bytes, 0 are left");
    assert_eq!(error(&body[..1]), "device › env.regs at 0x101: needs 40 bytes, 0 are left");
    assert!(
        error(&body[..body.len() - 1])
            .starts_with("device › device/xsave › t at 0x143: needs 6 bytes, 5 are left")
    );

    let mut changed = body.clone();
    changed[2] = 6;
    let marker = error(&changed);
    assert_eq!(
        marker,
        "device › env.regs[0] › device/inner at 0x102: subsection marker 0x6 is unknown, expected 0x5"
    );
    changed.clone_from(&body);
    changed[4] = b'D';
    assert!(
        error(&changed).contains("subsection `Device/inner`, version 1, expected `device/inner`, version 1")
    );
    changed.clone_from(&body);
    changed[19] = 2;
    assert!(error(&changed).contains("version 2, expected"));
    assert!(matches!(
        decode(&description, &[body, vec![0]].concat()).unwrap_err().kind(),
        ErrorKind::Trailing { left: 1 }
    ));
}

#[test]
fn a_struct_has_the_size_of_its_fields() {
    let two = || vec![field("a", "uint8", 1), field("b", "uint8", 1)];
    let long = structure(vec![nested("s", 3, two())]);
    assert_eq!(
        decode(&long, &[0; 3]).unwrap_err().to_string(),
        "device › s at 0x102: 1 bytes are left over after the last field"
    );
    let short = structure(vec![nested("s", 1, two())]);
    assert_eq!(
        decode(&short, &[0; 1]).unwrap_err().to_string(),
        "device › s.b at 0x101: needs 1 bytes, 0 are left"
    );
}

#[test]
fn a_subsection_comes_once() {
    let mut twice = structure(vec![]);
    twice.subsections = vec![StructDesc::new("device/s", 1); 2];
    let body = b"\x05\x08device/s\0\0\0\x01".repeat(2);
    assert!(matches!(decode(&twice, &body).unwrap_err().kind(), ErrorKind::RepeatedSubsection { .. }));
}

#[test]
fn claims_that_no_bytes_back() {
    let many = u64::MAX;
    let lengths = structure(vec![array(many, field("x", "uint8", 1)), array(many, field("y", "uint64", 8))]);
    assert!(matches!(decode(&lengths, &[0; 9]).unwrap_err().kind(), ErrorKind::Truncated { .. }));

    // Elements of no bytes: as many as are claimed would fill any memory.
    let nothing = structure(vec![array(many, field("x", "buffer", 0)), array(many, nested("s", 0, vec![]))]);
    assert_eq!(shown(&nothing, &[]), json!({"x": [], "s": []}));

    // A byte for each element does not back any number of fields in it.
    let mut fields = vec![field("x", "uint8", 1)];
    fields.extend((0..1000).map(|number| field(&format!("nothing{number}"), "buffer", 0)));
    let hollow = structure(vec![array(100_000, nested("s", 1, fields))]);
    assert!(matches!(decode(&hollow, &[0; 100_000]).unwrap_err().kind(), ErrorKind::TooMany { .. }));
}

#[test]
fn json_that_does_not_fit() {
    let description = with_subsections();
    let good = shown(&description, &subsection_bytes());
    let refused = |change: fn(&mut serde_json::Value)| {
        let mut json = good.clone();
        change(&mut json);
        let error: Error = StructValue::from_json(&description, &json).unwrap_err();
        error.to_string()
    };
    assert_eq!(refused(|json| *json = json!(1)), "device at 0x0: 1, expected an object");
    assert_eq!(refused(|json| json["env"] = json!(-1)), "device › env at 0x0: -1, expected a uint8");
    assert_eq!(
        refused(|json| json["env.regs"][1]["page"] = json!("two")),
        "device › env.regs[1].page at 0x15: \"two\", expected a uint8"
    );
    assert_eq!(
        refused(|json| json["env.regs"][1]["subsections"]["device/inner"]["y"] = json!(128)),
        "device › env.regs[1] › device/inner › y at 0x28: 128, expected an int8"
    );
    assert_eq!(
        refused(|json| json["env.regs"].as_array_mut().unwrap().truncate(1)),
        "device › env.regs at 0x1: 1 elements, expected 2 elements"
    );
    assert_eq!(
        refused(|json| json["env.regs"] = json!({})),
        "device › env.regs at 0x1: an object, expected an array"
    );
    assert_eq!(refused(|json| json["more"] = json!(1)), "device › more at 0x29: not described");
    assert_eq!(
        refused(|json| drop(json["env.regs"][0].as_object_mut().unwrap().remove("page"))),
        "device › env.regs[0].page at 0x1: missing"
    );
    assert!(
        refused(|json| drop(json.as_object_mut().unwrap().remove("subsections")))
            .contains("device/xsave at 0x3b: missing")
    );
    assert!(
        refused(|json| json["subsections"]["device/more"] = json!({}))
            .contains("device/more at 0x49: not described")
    );
}
