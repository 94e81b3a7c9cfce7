//! Listings of sections, and comparisons of descriptions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::path::Path;

use compat::schema::{Comparison, Effect, Schema, sections};
use serde_json::{Value, json};
use vmstate::stream::Stream;

/// A dump with one device, of version 2 and minimum version 1.
fn dump(fields: &Value, subsections: &Value) -> Schema {
    device(2, 1, fields, subsections)
}

fn device(version: u32, minimum: u32, fields: &Value, subsections: &Value) -> Schema {
    let body = json!({
        "name": "nic", "version_id": version, "minimum_version_id": minimum, "Fields": fields, "Subsections": subsections,
    });
    let dump = json!({
        "vmschkmachine": {"Name": "pc-1.0"},
        "fast-nic": {"Name": "fast-nic", "version_id": version, "minimum_version_id": minimum, "Description": body},
    });
    Schema::from_dump(dump.to_string().as_bytes()).unwrap()
}

fn field(name: &str, size: u64) -> Value {
    json!({"field": name, "version_id": 0, "field_exists": false, "size": size})
}

fn with(mut field: Value, key: &str, value: impl Into<Value>) -> Value {
    field[key] = value.into();
    field
}

fn found(comparison: &Comparison) -> Vec<(Effect, &str, &str)> {
    comparison.differences.iter().map(|d| (d.effect, d.path.as_str(), d.reason.as_str())).collect()
}

/// What is found in the two directions between devices with these fields.
fn fields(a: &Value, b: &Value) -> (Comparison, Comparison) {
    let (a, b) = (dump(a, &json!([])), dump(b, &json!([])));
    (a.onto(&b), b.onto(&a))
}

#[test]
fn the_same_goes_together() {
    let (there, back) = fields(&json!([field("a", 4)]), &json!([field("a", 4)]));
    assert!(there.is_safe() && back.is_safe() && there.compared == 1, "{there:?}");
    assert_eq!((&there.differences, &there.not_compared), (&Vec::new(), &Vec::new()));
}

#[test]
fn a_field_more_breaks_both_ways() {
    let (there, back) =
        fields(&json!([field("a", 4), field("b", 2), field("c", 1)]), &json!([field("a", 4), field("c", 1)]));
    let expected = [(
        Effect::Breaks,
        "b",
        "2 bytes, which the destination does not read: it takes them for what follows",
    )];
    assert_eq!(found(&there), expected);
    let expected =
        [(Effect::Breaks, "b", "2 bytes, which only the destination has: it takes what follows for them")];
    assert_eq!(found(&back), expected);
}

#[test]
fn a_field_of_a_later_version_is_not_read_of_an_earlier_one() {
    let new = device(3, 1, &json!([field("a", 4), with(field("b", 2), "version_id", 3)]), &json!([]));
    let old = dump(&json!([field("a", 4)]), &json!([]));
    assert!(old.onto(&new).is_safe());
    let back = new.onto(&old);
    assert_eq!(found(&back), [(Effect::Breaks, "", "version 3 is too new: the destination reads up to 2")]);
    let strict = device(4, 3, &json!([field("a", 4)]), &json!([]));
    let expected = [(Effect::Breaks, "", "version 2 is too old: the destination reads from 3")];
    assert_eq!(found(&old.onto(&strict)), expected);
}

#[test]
fn a_struct_inside_goes_by_its_own_versions() {
    let inner = |version: u32, fields: Value| {
        let description =
            json!({"name": "ring", "version_id": version, "minimum_version_id": 1, "Fields": fields});
        json!([with(field("ring", 100), "Description", description)])
    };
    let old = inner(1, json!([field("head", 2)]));
    let new = inner(2, json!([field("head", 2), with(field("tail", 2), "version_id", 2)]));
    let (there, back) = fields(&old, &new);
    assert_eq!(found(&there)[0].1, "ring › tail");
    assert_eq!(found(&back)[0].1, "ring › tail");
}

#[test]
fn sizes_are_those_of_all_elements() {
    let array = |size, count: u64| json!([with(field("a", size), "num", count)]);
    let (there, _) = fields(&array(4, 3), &array(4, 4));
    assert_eq!(
        found(&there)[0].2,
        "12 bytes, 16 bytes at the destination: it takes a wrong part of the stream"
    );
    assert!(fields(&array(4, 3), &array(12, 1)).0.is_safe());
    assert!(fields(&array(4, 3), &json!([field("a", 4)])).0.is_safe(), "older dumps do not say how many");
    assert!(!fields(&json!([field("a", 2)]), &json!([field("a", 4)])).0.is_safe());
}

#[test]
fn names_do_not_matter() {
    let (there, _) = fields(&json!([field("a", 4), field("z", 1)]), &json!([field("b", 4), field("z", 1)]));
    assert_eq!(
        found(&there),
        [(Effect::Harmless, "a", "called `b` at the destination, with the same bytes")]
    );
    assert!(there.is_safe());
}

#[test]
fn unused_bytes_stand_for_fields() {
    let (there, back) = fields(
        &json!([field("a", 4), field("b", 2), field("c", 1)]),
        &json!([field("unused", 6), field("c", 1)]),
    );
    assert_eq!((found(&there), found(&back)), (vec![], vec![]));
    let (there, _) =
        fields(&json!([field("a", 4), field("c", 1)]), &json!([field("unused", 6), field("c", 1)]));
    assert!(!there.is_safe());
}

#[test]
fn conditions_may_break() {
    let sometimes = with(field("a", 4), "field_exists", true);
    let (there, back) = fields(&json!([sometimes]), &json!([field("a", 4)]));
    assert_eq!(
        found(&there),
        [(Effect::MayBreak, "a", "always read, but written only if a condition holds")]
    );
    assert_eq!(found(&back), [(Effect::MayBreak, "a", "always written, but read only if a condition holds")]);
    let two_forms =
        json!([with(field("a", 4), "field_exists", true), with(field("a", 9), "field_exists", true)]);
    let (there, _) = fields(&two_forms, &two_forms);
    assert!(there.differences.is_empty(), "{there:?}");
    let (there, _) =
        fields(&json!([field("b", 1)]), &json!([with(field("a", 4), "field_exists", true), field("b", 1)]));
    assert_eq!(found(&there)[0].0, Effect::MayBreak);
}

#[test]
fn subsections_are_not_skipped() {
    let sub = |version| json!([{"name": "nic/rss", "version_id": version, "minimum_version_id": version, "Fields": []}]);
    let (with_one, without) = (dump(&json!([]), &sub(1)), dump(&json!([field("a", 1)]), &json!([])));
    let there = with_one.onto(&dump(&json!([]), &json!([])));
    assert_eq!(found(&there)[0].0, Effect::MayBreak);
    assert_eq!(found(&there)[0].1, "nic/rss");
    let newer = with_one.onto(&dump(&json!([]), &sub(2)));
    assert_eq!(found(&newer)[0].2, "version 1 is too old: the destination reads from 2");
    assert!(
        dump(&json!([field("a", 1)]), &json!([])).onto(&dump(&json!([field("a", 1)]), &sub(1))).is_safe()
    );
    assert!(without.onto(&without).is_safe());
}

#[test]
fn a_missing_section_breaks_between_dumps_alone() {
    let nothing = Schema::from_dump(b"{}").unwrap();
    let there = dump(&json!([]), &json!([])).onto(&nothing);
    assert!(there.differences[0].reason.contains("Unknown savevm section"), "{there:?}");
    let to_vmig = dump(&json!([]), &json!([])).onto(&Schema::vmig());
    assert_eq!((to_vmig.is_safe(), to_vmig.not_compared), (true, vec!["nic".to_owned()]));
}

#[test]
fn types_with_one_section_are_told_of_once() {
    let mut a = dump(&json!([field("a", 4)]), &json!([]));
    let mut second = a.sections[0].clone();
    second.device_type = Some("slow-nic".to_owned());
    a.sections.push(second);
    let there = a.onto(&dump(&json!([]), &json!([])));
    assert_eq!(there.differences.len(), 1);
    assert_eq!(there.differences[0].types, ["fast-nic", "slow-nic"]);
}

#[test]
fn a_real_stream_goes_onto_what_vmig_models() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for name in ["x86-q35-kitchen-q10.0", "x86-q35-gpu-q5.2", "s390x-ccw-q11.1", "x86-q35-virtio-iommu-q10.0"]
    {
        let path = fixtures.join(format!("{name}.mig.zst"));
        let image = image::open(path.to_str().unwrap(), &mut |_| {}).unwrap();
        let scan = Stream::scan(image.source.as_ref(), &mut |_| {});
        let schema = Schema::from(&scan.stream.description.unwrap().desc);
        let comparison = schema.onto(&Schema::vmig());
        assert!(comparison.compared >= 2 && comparison.differences.is_empty(), "{name}: {comparison:#?}");
    }
}

/// A name that comes twice has a number, one of several forms is there, and arrays of no elements are not.
#[test]
fn a_stream_says_what_was_written() {
    let desc = json!({"page_size": 4096, "devices": [{
        "name": "0000:00:03.0/nic", "instance_id": 0, "vmsd_name": "nic", "version": 2,
        "fields": [
            {"name": "config[0]", "type": "buffer", "size": 256},
            {"name": "macs", "array_len": 3, "type": "uint16", "size": 2},
            {"name": "b", "type": "uint8", "size": 1},
        ],
        "subsections": [{"vmsd_name": "nic/rss", "version": 1, "fields": []}],
    }]});
    let stream = Schema::from(&vmstate::vmdesc::parse(desc.to_string().as_bytes(), 0).unwrap());
    let inner = json!({"name": "slot", "version_id": 1, "minimum_version_id": 1, "Fields": [field("x", 4)]});
    let fields = json!([
        with(field("config", 4096), "field_exists", true),
        with(field("config", 256), "field_exists", true),
        field("macs", 2),
        with(field("slots", 8), "Description", inner),
        with(field("b", 1), "field_exists", true),
        field("b", 1),
    ]);
    let rss = json!([{"name": "nic/rss", "version_id": 1, "minimum_version_id": 1}]);
    let there = stream.onto(&dump(&fields, &rss));
    assert!(there.compared == 1 && there.differences.is_empty(), "{there:#?}");
    let there = stream.onto(&dump(&fields, &json!([])));
    let expected = "the destination does not know the subsection: it is there";
    assert_eq!(found(&there), [(Effect::Breaks, "nic/rss", expected)]);
}

#[test]
fn the_listing_is_made_of_what_sections_are_made_of() {
    let sections = sections();
    let net = sections.iter().find(|section| section.name == "virtio-net").unwrap();
    let parts: Vec<_> = net.parts.iter().map(|part| part.body.name.as_str()).collect();
    let expected = [
        "virtio-pci",
        "virtio-mmio",
        "s390_virtio_ccw_dev",
        "virtio common fields",
        "virtio queues",
        "virtio-net-device",
        "virtio",
        "virtio_pci",
        "virtio_mmio",
    ];
    assert_eq!(parts, expected, "the order of the save procedure");
    let data = &net.parts[5].body;
    assert_eq!((data.version, data.fields[0].name.as_str()), (11, "mac"));
    let rss = &data.subsections[0];
    assert_eq!(rss.needed.as_deref(), Some("Receive-side scaling, if it is on."));
    let pairs = data.fields.iter().find(|field| field.name == "max_queue_pairs").unwrap();
    assert_eq!(pairs.when.as_deref(), Some("cx.shape.switches.has(Switch::Multiqueue)"));
    assert!(sections.iter().any(|section| section.name == "virtio-crypto" && section.parts.is_empty()));
    for section in sections.iter().filter(|section| section.unmigratable.is_none()) {
        assert!(!section.parts.is_empty(), "{}", section.name);
    }
}
