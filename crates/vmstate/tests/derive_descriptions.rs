//! `#[derive(VmState)]`: the description without a value, and the one of a value.

use serde_json::json;
use vmstate::description::{FieldDescription, Length, SubsectionDescription};
use vmstate::types::{Bitmap, Counted};
use vmstate::{Described, Field, Type, Typed, VmState};

const LIMIT: u8 = 32;

#[derive(Debug, VmState)]
#[vmstate(name = "nic/rss")]
struct Rss {
    hash: u32,
}

/// A network card.
///
/// With all that one needs.
#[derive(Debug, VmState)]
#[vmstate(name = "nic", version = 11, minimum_version = 10)]
struct Nic {
    /// The address,
    /// and more.
    ///
    /// Six bytes.
    #[vmstate(rename = "parent_obj.mac")]
    mac: [u8; 6],
    #[vmstate(max = LIMIT)]
    vlans: Counted<u8, u16>,
    #[vmstate(since = 11)]
    pairs: Option<u16>,
    #[vmstate(when = pairs.is_some(), count = pairs.unwrap_or_default(), max = 4)]
    rings: Option<Vec<Rss>>,
    #[vmstate(count = 70_u8)]
    bits: Bitmap,
    /// There if hashes are spread.
    #[vmstate(subsection)]
    rss: Option<Rss>,
}

#[test]
fn description_is_known_without_a_value() {
    let nic = Nic::DESCRIPTION;
    assert_eq!((nic.name, nic.version, nic.minimum_version), ("nic", 11, 10));
    assert_eq!(nic.doc, "A network card.");
    let rss = SubsectionDescription { doc: "There if hashes are spread.", description: Rss::DESCRIPTION };
    assert_eq!(nic.subsections, [rss]);
    assert_eq!(Nic::TYPE, Type::Struct(nic));
    let plain = FieldDescription { name: "", doc: "", ty: u16::TYPE, since: 0, when: None, max: None };
    let expected = [
        FieldDescription {
            name: "parent_obj.mac",
            doc: "The address, and more.",
            ty: <[u8; 6]>::TYPE,
            ..plain
        },
        FieldDescription { name: "vlans", ty: Counted::<u8, u16>::TYPE, max: Some(32), ..plain },
        FieldDescription { name: "pairs", since: 11, ..plain },
        FieldDescription {
            name: "rings",
            ty: Type::Array { element: &Rss::TYPE, length: Length::External },
            when: Some("pairs.is_some()"),
            max: Some(4),
            ..plain
        },
        FieldDescription { name: "bits", ty: Bitmap::TYPE, ..plain },
    ];
    assert_eq!(nic.fields, expected);
}

#[test]
fn versions_are_1_and_that_alone_unless_said_otherwise() {
    assert_eq!((Rss::DESCRIPTION.version, Rss::DESCRIPTION.minimum_version), (1, 1));
    #[derive(Debug, VmState)]
    #[vmstate(name = "seven", version = 7)]
    struct Seven;
    assert_eq!((Seven::DESCRIPTION.version, Seven::DESCRIPTION.minimum_version), (7, 7));
}

#[test]
fn sizes_follow_from_the_fields() {
    assert_eq!((Rss::DESCRIPTION.minimum_size(), Rss::DESCRIPTION.fixed_size()), (4, Some(4)));
    assert_eq!((Nic::DESCRIPTION.minimum_size(), Nic::DESCRIPTION.fixed_size()), (7, None));
}

#[test]
fn a_value_describes_what_is_there() {
    let nic = Nic {
        mac: [0; 6],
        vlans: vec![1, 2].into(),
        pairs: None,
        rings: Some(vec![Rss { hash: 1 }, Rss { hash: 2 }]),
        bits: vec![0, 0].into(),
        rss: Some(Rss { hash: 3 }),
    };
    let rss = json!({
        "vmsd_name": "nic/rss",
        "version": 1,
        "fields": [{ "name": "hash", "type": "uint32", "size": 4 }],
    });
    let described = Field::<()>::describe(&nic, "nic0");
    assert_eq!(
        serde_json::to_value(described).unwrap(),
        json!([{
            "name": "nic0",
            "type": "struct",
            "struct": {
                "vmsd_name": "nic",
                "version": 11,
                "fields": [
                    { "name": "parent_obj.mac", "array_len": 6, "type": "uint8", "size": 1 },
                    { "name": "vlans", "type": "uint16", "size": 5 },
                    { "name": "rings", "array_len": 2, "type": "struct", "struct": rss, "size": 4 },
                    { "name": "bits", "type": "bitmap", "size": 16 },
                ],
                "subsections": [rss],
            },
            "size": 6 + 5 + 8 + 16 + (1 + 1 + 7 + 4 + 4),
        }])
    );
}
