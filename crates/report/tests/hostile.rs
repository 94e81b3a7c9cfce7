//! Pages of streams that somebody made to break them.

mod common;

use common::{Element, Read};
use image::Container;
use report::{Subject, page};
use vmstate::Writer;

/// A stream of sections without state, each with this name.
#[expect(clippy::unwrap_used, reason = "the names are short")]
fn stream(sections: u32, name: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut out = Writer::new();
    out.u32(0x5145_564d);
    out.u32(3);
    let machine = "</style><script>alert(1)</script>\u{1b}[31m\u{202e}".as_bytes();
    out.u8(7);
    out.u32(machine.len().try_into().unwrap());
    out.bytes(machine);
    for id in 0..sections {
        out.u8(4);
        out.u32(id);
        let name = name(id);
        out.u8(name.len().try_into().unwrap());
        out.bytes(&name);
        out.u32(0);
        out.u32(1);
        out.u32(0xdead_beef);
        out.u8(0x7e);
        out.u32(id);
    }
    out.u8(0);
    out.into_bytes()
}

fn page_of(stream: Vec<u8>, name: &str) -> String {
    let read = Read::new(Container::default(), &stream);
    assert!(read.reading().stopped.is_none(), "{:?}", read.reading().stopped);
    page(&[Subject { name, reading: read.reading() }])
}

#[test]
fn names_are_text() {
    let hostile = b"\"><svg/onload=alert(1)>'`".repeat(10);
    let html = page_of(stream(3, |_| hostile.clone()), "<b>&\"'.mig");
    let page = Element::parse(&html);
    assert_eq!(page.named("h1")[0].text(), "<b>&\"'.mig");
    assert!(page.named("script").is_empty() && page.named("b").is_empty());
    assert!(
        page.all().iter().all(|element| element.attributes.iter().all(|(name, _)| !name.starts_with("on")))
    );
    assert!(
        page.with_class("facts")[0].text().contains(r"</style><script>alert(1)</script>\u{1b}[31m\u{202e}")
    );
    assert!(!html.contains('\u{202e}') && !html.contains('\u{1b}'));
}

#[test]
fn ten_thousand_sections_are_a_page() {
    let html =
        page_of(stream(10_000, |id| format!("section-{id:05}-{}", "x".repeat(200)).into_bytes()), "many");
    Element::parse(&html);
    assert!(html.len() < 2 << 20, "{} bytes", html.len());
}

#[test]
fn devices_that_cannot_be_read_are_findings() {
    let html = page_of(
        stream(2000, |id| {
            format!("0000:{:02x}:{:02x}.{}/virtio-net", id >> 8, id >> 3 & 31, id & 7).into_bytes()
        }),
        "broken",
    );
    let page = Element::parse(&html);
    assert!(
        page.with_class("verdict")[0].text().starts_with("2000 findings. Some of the stream cannot be read.")
    );
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
}
