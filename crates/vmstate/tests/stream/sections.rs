//! Sections: what they are called, where they lie, how their end is found.

use vmstate::stream::{Boundary, Kind, Record, Section};

use crate::builder::{Builder, Records, sample, scan, scan_whole};

fn boundaries<'a>(sections: impl Iterator<Item = &'a Section>) -> Vec<(String, Boundary)> {
    sections.map(|section| (section.name.clone(), section.boundary)).collect()
}

#[test]
fn everything_has_its_place() {
    let bytes = sample();
    let stream = scan_whole(&bytes);
    assert_eq!(stream.version, 3);
    assert_eq!(stream.configuration.as_ref().unwrap().machine(), "pc-q35-10.0");
    assert_eq!((stream.bytes, stream.trailing), (bytes.len() as u64, 0));
    let kinds: Vec<_> = stream.sections().map(|section| (section.kind, section.id)).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Start, 2),
            (Kind::Start, 3),
            (Kind::Part, 2),
            (Kind::End, 3),
            (Kind::End, 2),
            (Kind::Full, 9),
            (Kind::Full, 10),
            (Kind::Full, 11)
        ]
    );
    assert_eq!(stream.records.len(), kinds.len() + 2, "and a command and the end");
    let mut next = 8 + 1 + 4 + 11;
    for record in &stream.records {
        match record {
            Record::Section(section) => {
                assert_eq!(section.offset, next);
                assert!(section.has_footer);
                next = section.body_end() + 5;
            }
            Record::Command { offset, .. } => {
                assert_eq!(*offset, next);
                next += 5;
            }
            Record::Eof { offset } => assert_eq!(*offset, next),
        }
    }
    assert_eq!(stream.description.as_ref().unwrap().marker_offset(), next + 1);
    assert_eq!(stream.section("timer", 0).unwrap().body().unwrap(), b"0123456789");
    assert!(stream.section("timer", 1).is_none());
    for section in stream.sections().filter(|section| section.kind != Kind::Full) {
        assert_eq!(section.body(), None, "{} is not held in memory", section.name);
    }
}

#[test]
fn a_further_part_has_the_name_of_the_first() {
    let stream = scan_whole(&sample());
    let last = stream.sections().filter(|section| section.kind == Kind::End).last().unwrap();
    assert_eq!((last.name.as_str(), last.instance, last.version), ("ram", 0, 4));
    assert!(last.is_ram());
}

#[test]
fn the_description_says_how_long_sections_are() {
    let bodies = boundaries(scan_whole(&sample()).sections());
    let expected = [
        ("ram", Boundary::Content),
        ("dirty-bitmap", Boundary::Footer),
        ("ram", Boundary::Content),
        ("dirty-bitmap", Boundary::Footer),
        ("ram", Boundary::Content),
        ("timer", Boundary::Description),
        ("unlisted", Boundary::Footer),
        ("0000:00:03.0/virtio-net", Boundary::Description),
    ];
    assert_eq!(bodies, expected.map(|(name, boundary)| (name.to_owned(), boundary)));
}

#[test]
fn a_body_may_look_like_its_own_end() {
    // The footer of section 9; the footer and the head of a section with an unprintable name; the footer
    // and a further part of something that never began.
    let body = b"\x7e\0\0\0\x09\x7e\0\0\0\x09\x04\0\0\0\x01\x02\x80\x01\0\0\0\0\0\0\0\x01\x7e\0\0\0\x09\x02\0\0\0\x07";
    let listed = Builder::new().device(9, "device", body).finish();
    let unlisted = Builder::new().hidden(9, "device", 0, body).device(10, "other", b"").finish();
    let at_the_end =
        Builder::new().hidden(9, "device", 0, &[body, &b"\x7e\0\0\0\x09\0"[..]].concat()).finish();
    for (bytes, length) in [(listed, body.len()), (unlisted, body.len()), (at_the_end, body.len() + 6)] {
        let stream = scan_whole(&bytes);
        assert_eq!(stream.sections().next().unwrap().body_bytes, length as u64);
    }
}

#[test]
fn instances_are_told_apart() {
    let bytes = Builder::new()
        .described(1, "i8259", 0, b"a", 1)
        .described(2, "i8259", 1, b"bc", 2)
        .described(3, "i8259", 2, b"def", 3)
        .finish();
    let stream = scan_whole(&bytes);
    assert_eq!(stream.section("i8259", 1).unwrap().body().unwrap(), b"bc");
    assert!(stream.sections().all(|section| section.boundary == Boundary::Description));
}

#[test]
fn a_description_that_is_wrong_is_not_believed() {
    for described in [0, 3, 5, 9, 1 << 20] {
        let bytes = Builder::new().described(1, "a", 0, b"abcd", described).device(2, "b", b"ef").finish();
        let stream = scan_whole(&bytes);
        let found = boundaries(stream.sections());
        assert_eq!(found, [("a".to_owned(), Boundary::Footer), ("b".to_owned(), Boundary::Description)]);
        assert_eq!(stream.section("a", 0).unwrap().body().unwrap(), b"abcd");
    }
}

#[test]
fn without_a_description_footers_are_searched() {
    let builder = Builder::new()
        .ram_start(&[("ram", 1)])
        .ram_end(Records::new().zero(Some("ram"), 0))
        .hidden(5, "long", 0, &vec![0x7e; 3 << 20])
        .hidden(6, "empty", 0, b"")
        .hidden(7, "last", 0, b"\x00\x00");
    let stream = scan_whole(&builder.clone().finish_bare());
    assert!(stream.description.is_none());
    assert_eq!(stream.section("long", 0).unwrap().body_bytes, 3 << 20);
    assert_eq!(stream.section("empty", 0).unwrap().body().unwrap(), b"");
    assert_eq!(stream.section("last", 0).unwrap().body().unwrap(), b"\x00\x00");
    // Cut where a section ends, it has all sections before that.
    let cut = scan(&builder.bytes);
    assert_eq!(cut.stream.sections().count(), 5);
    assert!(cut.stopped.is_some() && !cut.stream.is_complete());
}

#[test]
fn a_footer_is_found_at_any_place_of_a_chunk() {
    for length in (16 << 10) - 12..(16 << 10) + 4 {
        let body = vec![0; length];
        let bytes = Builder::new().hidden(5, "long", 0, &body).hidden(6, "next", 0, b"").finish_bare();
        assert_eq!(scan_whole(&bytes).section("long", 0).unwrap().body_bytes, length as u64);
    }
}

#[test]
fn footers_may_be_switched_off() {
    let after_ram = Builder::new()
        .without_footers()
        .ram_start(&[("ram", 1)])
        .ram_end(Records::new().zero(Some("ram"), 0))
        .device(5, "device", b"\x7e\0\0\0\x05\x04")
        .device(6, "next", b"ab")
        .finish();
    let before_ram = Builder::new()
        .without_footers()
        .device(5, "device", b"\x7e\0\0\0\x05\x04")
        .ram_start(&[("ram", 1)])
        .device(6, "next", b"ab")
        .finish();
    for bytes in [after_ram, before_ram] {
        let stream = scan_whole(&bytes);
        assert!(stream.sections().all(|section| !section.has_footer));
        assert_eq!(stream.section("device", 0).unwrap().body_bytes, 6);
        assert_eq!(stream.section("next", 0).unwrap().body().unwrap(), b"ab");
    }
}

#[test]
fn what_follows_the_stream_is_not_of_it() {
    let stream = sample();
    // Zeros, as in a disk image; another stream, with a description of its own.
    for tail in [&[0; 70_000][..], &Builder::new().device(9, "timer", b"!").finish(), b"\x06not it"] {
        let found = scan_whole(&[&stream, tail].concat());
        assert_eq!((found.bytes, found.trailing), (stream.len() as u64, tail.len() as u64));
        assert_eq!(found.section("timer", 0).unwrap().body().unwrap(), b"0123456789");
    }
}

#[test]
fn there_may_be_no_configuration() {
    let bytes = Builder::bare().device(1, "device", b"ab").finish();
    let stream = scan_whole(&bytes);
    assert!(stream.configuration.is_none());
    assert_eq!(stream.sections().count(), 1);
}

#[test]
fn a_configuration_has_its_subsections() {
    let subsections = b"\x05\x1econfiguration/target-page-bits\0\0\0\x01\0\0\0\x10\
                        \x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0fx-ignore-shared\
                        \x05\x12configuration/uuid\0\0\0\x01abcdefghijklmnop";
    let bytes = Builder::bare().configuration("virt-10.0", subsections).device(1, "device", b"").finish();
    let configuration = scan_whole(&bytes).configuration.unwrap();
    assert_eq!(configuration.page_size(), Some(1 << 16));
    assert!(configuration.has_capability("x-ignore-shared"));
    assert!(!configuration.has_capability("mapped-ram"));
    assert_eq!(configuration.uuid.unwrap().data.as_slice(), b"abcdefghijklmnop");
}

#[test]
fn the_walk_tells_how_far_it_is() {
    let bytes = sample();
    let mut offsets = Vec::new();
    vmstate::stream::Stream::scan(&bytes, &mut |offset| offsets.push(offset));
    assert!(offsets.is_sorted() && offsets.len() > 5);
    assert!(offsets.iter().all(|&offset| offset <= bytes.len() as u64));
}
