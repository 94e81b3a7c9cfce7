//! The configuration: each of its subsections, and those that cannot be.

use vmstate::stream::Configuration;

use crate::builder::{Builder, scan_whole, stopped};

/// A subsection of version 1.
fn subsection(name: &str, body: &[u8]) -> Vec<u8> {
    [&[5, u8::try_from(name.len()).unwrap()], name.as_bytes(), &[0, 0, 0, 1], body].concat()
}

fn configuration(subsections: &[u8]) -> Configuration {
    scan_whole(&Builder::bare().configuration("pc", subsections).finish()).configuration.unwrap()
}

#[test]
fn each_subsection_alone() {
    let page_bits = subsection("configuration/target-page-bits", &[0, 0, 0, 14]);
    let capabilities = subsection("configuration/capabilities", b"\0\0\0\x02\x01a\x0amapped-ram");
    let uuid = subsection("configuration/uuid", b"0123456789abcdef");

    let bare = configuration(b"");
    assert_eq!((bare.machine().as_str(), bare.page_size()), ("pc", None));
    assert_eq!(
        configuration(&page_bits),
        Configuration { target_page_bits: configuration(&page_bits).target_page_bits, ..bare.clone() }
    );
    assert_eq!(configuration(&page_bits).page_size(), Some(1 << 14));
    let with = configuration(&capabilities);
    let has = ["a", "mapped-ram", "mapped", ""].map(|name| with.has_capability(name));
    assert_eq!(has, [true, true, false, false]);
    assert_eq!(configuration(&uuid).uuid.unwrap().data.as_slice(), b"0123456789abcdef");
    let all = configuration(&[page_bits, capabilities, uuid].concat());
    assert!(all.target_page_bits.is_some() && all.capabilities.is_some() && all.uuid.is_some());
}

#[test]
fn what_cannot_be() {
    let stopped = |subsections: &[u8]| stopped(&Builder::bare().configuration("pc", subsections).finish());
    assert_eq!(
        stopped(&subsection("configuration/later", &[])),
        "configuration at 0xf: subsection `configuration/later` is not known here; known: \
         configuration/target-page-bits, configuration/capabilities, configuration/uuid"
    );
    let uuid = subsection("configuration/uuid", &[7; 16]);
    assert_eq!(
        stopped(&[uuid.clone(), uuid.clone()].concat()),
        "configuration at 0x37: subsection `configuration/uuid` comes a second time"
    );
    assert_eq!(
        stopped(&subsection("configuration/capabilities", &[0, 0, 0, 65])),
        "configuration › configuration/capabilities › capabilities at 0x33: 65 elements, at most 64"
    );
    let newer = [&uuid[..23], &[2], &uuid[24..]].concat();
    assert_eq!(stopped(&newer), "configuration › configuration/uuid at 0x27: version 2, expected 1 to 1");
}

#[test]
fn a_name_of_any_length() {
    let name = "x".repeat(255);
    let bytes = Builder::bare().configuration(&name, b"").finish();
    assert_eq!(scan_whole(&bytes).configuration.unwrap().machine(), name);
    let text = stopped(&Builder::bare().configuration(&"x".repeat(256), b"").finish());
    assert_eq!(text, "configuration › name at 0xd: 256 elements, at most 255");
}

#[test]
fn it_comes_once_and_first() {
    let text = stopped(&Builder::new().configuration("pc", b"").finish());
    assert!(text.starts_with("at 0x18: section marker 0x7 is unknown"), "{text}");
}
