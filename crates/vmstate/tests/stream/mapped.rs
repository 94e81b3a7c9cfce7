//! Mapped RAM: pages at places of their own.

use vmstate::ram::{Content, ReadError};
use vmstate::stream::WriteError;

use crate::builder::{Builder, PAGE, RAM_ID, Records, scan, scan_whole, stopped};

const SIZE: usize = 4096;
const CAPABILITIES: &[u8] = b"\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0amapped-ram";

/// A block's name, its pages, and which of them are there.
type Block<'a> = (&'a str, u64, &'a [u64]);

/// A stream with these blocks; each page is filled with its number and one.
fn mapped(blocks: &[Block<'_>]) -> Builder {
    let total: u64 = blocks.iter().map(|(_, pages, _)| pages * PAGE).sum();
    let builder = Builder::bare().configuration("pc-q35-10.0", CAPABILITIES);
    let mut builder = builder.hidden(1, "early", 0, b"ab");
    builder = builder.u8(1).raw(&RAM_ID.to_be_bytes()).name("ram").u32(0).u32(4).u64(total | 4);
    for &(name, pages, there) in blocks {
        let mut bitmap = vec![0_u8; usize::try_from(pages.div_ceil(64) * 8).unwrap()];
        for &page in there {
            bitmap[usize::try_from(page / 8).unwrap()] |= 1 << (page % 8);
        }
        builder = builder.name(name).u64(pages * PAGE).u32(1).u64(PAGE);
        let bitmap_offset = builder.bytes.len() + 16;
        let pages_offset = (bitmap_offset + bitmap.len()).next_multiple_of(SIZE);
        builder = builder.u64(bitmap_offset as u64).u64(pages_offset as u64).raw(&bitmap);
        builder.bytes.resize(pages_offset, 0);
        for page in 0..pages {
            let fill = if there.contains(&page) { u8::try_from(page % 250).unwrap() + 1 } else { 0xdd };
            builder = builder.raw(&[fill; SIZE]);
        }
    }
    builder = builder.u64(0x10).raw(b"\x7e").raw(&RAM_ID.to_be_bytes());
    builder.ram_end(Records::new()).device(9, "device", b"abc")
}

#[test]
fn pages_are_found_by_the_bitmap() {
    let there: Vec<u64> = (60..70).chain([0, 199]).collect();
    let bytes = mapped(&[("pc.ram", 200, &there), ("pc.bios", 3, &[1])]).finish();
    let stream = scan_whole(&bytes);
    assert_eq!(stream.section("device", 0).unwrap().body().unwrap(), b"abc");
    let ram = stream.ram.unwrap();
    assert_eq!((ram.normal, ram.zero), (13, 190));
    for page in 0..200_u64 {
        let fill = if there.contains(&page) { u8::try_from(page).unwrap() + 1 } else { 0 };
        let mut buf = vec![0xee; SIZE];
        ram.read(&bytes, 0, page * PAGE, &mut buf).unwrap();
        assert_eq!(buf, [fill; SIZE], "page {page}");
    }
    let mut buf = [0xee; 2];
    ram.read(&bytes, 1, 2 * PAGE - 1, &mut buf).unwrap();
    assert_eq!(buf, [2, 0]);
    let lengths: Vec<_> = ram.runs(0).map(|run| run.count).collect();
    assert_eq!(lengths, [1, 59, 10, 129, 1]);
    assert!(matches!(ram.runs(0).nth(2).unwrap().content, Content::Data { stride: 4096, .. }));
}

#[test]
fn page_records_have_no_place_there() {
    let bytes =
        mapped(&[("pc.ram", 1, &[])]).more(2, RAM_ID, &Records::new().zero(Some("pc.ram"), 0).0).bytes;
    let text = stopped(&bytes);
    assert!(text.contains("RAM record flags 0x2 is unknown") && text.contains("mapped-ram"), "{text}");
}

#[test]
fn lengths_and_places_are_bounded() {
    let builder = mapped(&[("pc.ram", 1, &[0])]);
    let head = builder.bytes.windows(6).position(|bytes| bytes == b"pc.ram").unwrap() + 6;
    let patched = |at: usize, value: u64| {
        let mut bytes = builder.bytes.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        stopped(&bytes)
    };
    let page_size = head + 8 + 4;
    let text = patched(page_size, 8192);
    assert!(text.contains("page_size at") && text.ends_with("8192, expected 4096"), "{text}");
    let text = patched(page_size + 8, 1 << 60);
    assert!(text.contains("bitmap of pc.ram") && text.contains("needs 8 bytes, 0 are left"), "{text}");
    let text = patched(page_size + 16, u64::MAX - 4096);
    assert!(text.contains("needs") || text.contains("pages"), "{text}");
    let text = patched(page_size + 16, 9);
    assert!(text.contains("pages of block `pc.ram` at 0x9"), "{text}");
}

#[test]
fn pages_that_were_cut_off_are_noticed_when_they_are_read() {
    let bytes = mapped(&[("pc.ram", 3, &[2])]).bytes;
    let place = bytes.windows(SIZE).position(|bytes| bytes == [3; SIZE]).unwrap();
    let cut = bytes[..place + 100].to_vec();
    let found = scan(&cut);
    assert!(found.stopped.is_some());
    let ram = found.stream.ram.unwrap();
    let error = ram.read(&cut, 0, 2 * PAGE, &mut [0; SIZE]).unwrap_err();
    assert!(matches!(error, ReadError::Stream(_)), "{error}");
    ram.read(&cut, 0, PAGE, &mut [0; SIZE]).unwrap();
}

#[test]
fn it_is_written_as_it_was_and_never_moved() {
    let bytes = mapped(&[("pc.ram", 20, &[3, 4]), ("pc.bios", 2, &[])]).finish();
    let stream = scan_whole(&bytes);
    let mut out = Vec::new();
    stream.write(&bytes, &mut |_| None, &mut out).unwrap();
    assert!(out == bytes);
    let mut shorter = |section: &vmstate::stream::Section| (section.name == "early").then(|| b"a".to_vec());
    let error = stream.write(&bytes, &mut shorter, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, WriteError::MovesMappedRam { bytes: 1, expected: 2, .. }), "{error}");
    let mut other = |section: &vmstate::stream::Section| match section.name.as_str() {
        "early" => Some(b"xy".to_vec()),
        "device" => Some(b"another".to_vec()),
        _ => None,
    };
    let mut out = Vec::new();
    stream.write(&bytes, &mut other, &mut out).unwrap();
    let again = scan_whole(&out);
    assert_eq!(again.section("device", 0).unwrap().body().unwrap(), b"another");
    let mut buf = [0];
    again.ram.unwrap().read(&out, 0, 4 * PAGE, &mut buf).unwrap();
    assert_eq!(buf, [5]);
}
