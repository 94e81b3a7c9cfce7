//! The page as a browser reads it.

mod common;

use common::{Element, Read};
use report::{Subject, page};

fn page_of(names: &[&str]) -> String {
    let read: Vec<_> = names.iter().map(|name| Read::fixture(name)).collect();
    let subjects: Vec<_> =
        read.iter().zip(names).map(|(read, name)| Subject { name, reading: read.reading() }).collect();
    page(&subjects)
}

fn texts(page: &Element, class: &str) -> Vec<String> {
    page.with_class(class).iter().map(Element::text).collect()
}

/// What holds for every page.
fn check(html: &str) -> Element {
    let page = Element::parse(html);
    let mut anchors: Vec<_> = page.all().iter().filter_map(|element| element.attribute("id")).collect();
    let links: Vec<_> = page.all().iter().filter_map(|element| element.attribute("href")).collect();
    for link in &links {
        assert!(link.strip_prefix('#').is_some_and(|anchor| anchors.contains(&anchor)), "{link}");
    }
    anchors.sort_unstable();
    let count = anchors.len();
    anchors.dedup();
    assert_eq!(anchors.len(), count, "an anchor stands twice");
    for element in page.all() {
        assert!(
            !["script", "link", "img", "iframe", "object", "base"].contains(&element.name.as_str()),
            "{}",
            element.name
        );
        assert!(element.attributes.iter().all(|(name, _)| name != "src" && !name.starts_with("on")));
        if element.name == "svg" && element.attribute("role").is_some() {
            assert!(
                element.attribute("aria-label").is_some_and(|label| !label.is_empty()),
                "a picture without words"
            );
        }
    }
    let style = page.named("style").first().map(Element::text).unwrap_or_default();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(!html.contains("NaN"));
    page
}

#[test]
fn a_stream() {
    let html = page_of(&["x86-q35-kitchen-q10.0"]);
    let page = check(&html);
    assert!(html.len() < 400 << 10, "{} bytes", html.len());
    assert_eq!(page.named("h1").first().map(Element::text).as_deref(), Some("x86-q35-kitchen-q10.0"));
    assert!(texts(&page, "verdict")[0].starts_with("No findings. All 9 virtio devices"));
    let kinds: Vec<_> = texts(&page, "kind");
    assert_eq!(kinds[..3], ["virtio-net", "virtio-blk", "virtio-blk"]);
    // Net 3, blk 1 and 1, scsi 3, console 10, balloon 3, rng 1, input 2 and 2.
    assert_eq!(texts(&page, "ring").len(), 26);
    assert_eq!(texts(&page, "strip").len(), 7, "a strip for each block of RAM");
    let chips = page.with_class("chips");
    assert!(chips.iter().any(|chips| chips.text().contains("MRG_RXBUF")));
    // The statistics queue of the balloon always has its one buffer with the device.
    let open: Vec<_> =
        page.with_class("device").into_iter().filter(|device| device.attribute("open").is_some()).collect();
    let [balloon] = open.as_slice() else { panic!("{} devices are unfolded", open.len()) };
    assert_eq!(balloon.with_class("kind")[0].text(), "virtio-balloon");
    let rings = balloon.with_class("ring");
    assert_eq!(
        rings[2].named("svg")[0].attribute("aria-label"),
        Some("statsq, a ring of 1024 entries: 1 in flight, 0 offered")
    );
}

#[test]
fn every_byte_of_the_stream_is_on_the_map() {
    let page = check(&page_of(&["x86-q35-kitchen-q10.0"]));
    let bars = page.with_class("bar");
    assert_eq!(bars.len(), 2, "the whole stream, and what follows RAM");
    for bar in bars {
        let pieces: Vec<_> = bar.children.iter().filter(|piece| piece.name == "svg").collect();
        let share = |piece: &&Element, name| {
            piece
                .attribute(name)
                .and_then(|value| value.strip_suffix('%'))
                .map(|value| value.parse::<f64>().unwrap())
                .unwrap()
        };
        let mut end = 0.0;
        for piece in &pieces {
            assert!((share(piece, "x") - end).abs() < 0.01, "a gap at {end} %");
            end = share(piece, "x") + share(piece, "width");
        }
        assert!((end - 100.0).abs() < 0.05, "it ends at {end} %");
    }
}

#[test]
fn findings_come_first() {
    let html = page_of(&["x86-q35-kitchen-q5.2"]);
    let page = check(&html);
    assert_eq!(texts(&page, "verdict"), ["1 finding. QEMU does not load this stream."]);
    let finding = page.with_class("findings")[0].named("li")[0].text();
    assert!(finding.starts_with("does not load VM0440 0000:00:06.0/virtio-balloon"), "{finding}");
    assert!(html.find("VM0440") < html.find("<svg"));
}

#[test]
fn transports_and_ring_formats() {
    for name in [
        "x86-q35-packed-q10.0",
        "s390x-ccw-legacy-q10.0",
        "x86-microvm-mmio-legacy-q10.0",
        "x86-q35-gpu-q5.2",
        "x86-q35-nodrv-q10.0",
    ] {
        let page = check(&page_of(&[name]));
        assert!(!texts(&page, "layers").is_empty(), "{name}");
    }
    let page = check(&page_of(&["x86-q35-packed-q10.0"]));
    assert!(texts(&page, "ring")[0].contains("2 w1"), "{}", texts(&page, "ring")[0]);
}

#[test]
fn two_streams_side_by_side() {
    let page = check(&page_of(&["x86-q35-packed-q10.0", "x86-q35m52-netblkscsi-q10.0"]));
    assert_eq!(texts(&page, "lost")[..2], ["− RING_PACKED", "− RING_RESET"]);
    assert!(page.named("h2").iter().any(|heading| heading.text() == "4 virtio devices differ"));
    let pairs = page.with_class("pair");
    assert!(pairs.iter().any(|pair| pair.with_class("ring").len() == 2));
    assert!(page.with_class("changes").iter().any(|table| table.text().contains("core.queues[0].desc")));
}

#[test]
fn a_stream_and_itself() {
    let page = check(&page_of(&["x86-q35-net-mq4-q10.0", "x86-q35-net-mq4-q10.0"]));
    assert!(page.named("h2").iter().any(|heading| heading.text() == "0 virtio devices differ"));
    assert!(page.with_class("changes").is_empty());
}

#[test]
fn a_device_that_only_one_side_has() {
    let page = check(&page_of(&["x86-q35-kitchen-q10.0", "x86-q35-gpu-q10.0"]));
    assert!(texts(&page, "badge").contains(&"− only in A".to_owned()));
}

#[test]
fn many_streams_one_after_the_other() {
    let page = check(&page_of(&["x86-q35-gpu-q10.0", "x86-q35-gpu-q5.2", "x86-q35-gpu-vga-q10.0"]));
    assert_eq!(page.named("h1").len(), 3);
}
