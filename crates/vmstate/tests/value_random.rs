//! Values: whatever the description, a body is either refused or comes back byte for byte.

use proptest::prelude::*;
use vmstate::value::StructValue;
use vmstate::vmdesc::{FieldDesc, StructDesc};
use vmstate::{Reader, Writer};

const LEAVES: [(&str, u64); 10] = [
    ("uint8", 1),
    ("uint16", 2),
    ("uint32 equal", 4),
    ("int64", 8),
    ("bool", 1),
    ("timer", 8),
    ("buffer", 5),
    ("buffer", 0),
    ("nullptr", 1),
    ("int32", 3),
];

/// Few names, so that they come again, in a row and not.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.b", "a[0]", "subsections"]).prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = FieldDesc> {
    (name(), prop::sample::select(&LEAVES[..]), prop::option::of(0..4_u64))
        .prop_map(|(name, (ty, size), array_len)| FieldDesc { array_len, ..FieldDesc::new(&name, ty, size) })
}

/// A struct whose sizes are right.
fn structure() -> impl Strategy<Value = StructDesc> {
    let flat = prop::collection::vec(leaf(), 0..5)
        .prop_map(|fields| StructDesc { fields, ..StructDesc::new("s", 1) });
    flat.prop_recursive(3, 32, 4, |inner| {
        let nested =
            (name(), inner.clone(), prop::option::of(0..3_u64)).prop_map(|(name, inner, array_len)| {
                let size = inner.body_size().unwrap_or_default();
                FieldDesc { array_len, structure: Some(inner), ..FieldDesc::new(&name, "struct", size) }
            });
        let fields = prop::collection::vec(prop_oneof![leaf(), nested], 0..4);
        let subsections = prop::collection::btree_map("s/[a-c]", (inner, 0..3_u32), 0..2);
        (fields, subsections).prop_map(|(fields, subsections)| {
            let subsections = subsections
                .into_iter()
                .map(|(vmsd_name, (body, version))| StructDesc { vmsd_name, version, ..body })
                .collect();
            StructDesc { fields, subsections, ..StructDesc::new("s", 1) }
        })
    })
}

/// Bytes that the description fits, with the content that `bytes` gives.
fn body(description: &StructDesc, bytes: &mut dyn Iterator<Item = u8>, out: &mut Writer) {
    for field in &description.fields {
        for _ in 0..field.count() {
            match &field.structure {
                Some(nested) => body(nested, bytes, out),
                None => (0..field.size).for_each(|_| out.u8(bytes.next().unwrap_or_default())),
            }
        }
    }
    for subsection in &description.subsections {
        out.u8(5);
        out.name(&subsection.vmsd_name);
        out.u32(subsection.version);
        body(subsection, bytes, out);
    }
}

proptest! {
    #[test]
    fn comes_back(description in structure(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut out = Writer::new();
        body(&description, &mut bytes.into_iter(), &mut out);
        prop_assert_eq!(description.body_size(), Some(out.len() as u64));

        let mut input = Reader::new(out.as_bytes(), 0);
        let value = StructValue::decode(&mut input, &description).map_err(|e| TestCaseError::fail(e.to_string()))?;
        input.finish().map_err(|e| TestCaseError::fail(e.to_string()))?;
        let mut encoded = Writer::new();
        value.encode(&mut encoded);
        prop_assert_eq!(&encoded, &out);

        let json = serde_json::to_value(&value).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let again = StructValue::from_json(&description, &json).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(again, value);

        for cut in 0..out.len() {
            let cut = out.as_bytes().get(..cut).unwrap_or_default();
            prop_assert!(StructValue::decode(&mut Reader::new(cut, 0), &description).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        mut description in structure(),
        claims in prop::collection::vec((any::<u64>(), any::<u64>()), 0..5),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for (field, (length, size)) in description.fields.iter_mut().zip(claims) {
            field.array_len = Some(length >> (length % 64));
            field.size = size >> (size % 64);
        }
        let mut input = Reader::new(&bytes, 0);
        if let Ok(value) = StructValue::decode(&mut input, &description) {
            let mut encoded = Writer::new();
            value.encode(&mut encoded);
            prop_assert_eq!(encoded.as_bytes(), bytes.get(..encoded.len()).unwrap_or_default());
            prop_assert_eq!(encoded.len(), bytes.len() - input.left());
        }
        let _ = description.flattened();
    }
}
