//! Redacting: guest data is gone, devices and rings are there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test may panic"
)]

#[path = "../../virtio/tests/common/mod.rs"]
mod common;

use common::{bytes, names};
use compat::redact::{Options, redact};
use virtio::Loaded;
use virtio::guest::{Guest, Page, ring_pages};
use vmstate::Writer;
use vmstate::ram::{Decoder, Layout, Record};
use vmstate::source::Cursor;
use vmstate::stream::Stream;

/// What the guest's data looks like.
const MARKER: &[u8] = b"the guest's own data ";

/// A recorded stream has zeros where the guest's data was: this puts some there again, except on pages of
/// rings that were still empty.
fn with_guest_data(original: &[u8]) -> Vec<u8> {
    let stream = Stream::scan(&original, &mut |_| ()).stream;
    let rings = ring_pages(&stream, &original).unwrap();
    let page_size = stream.ram.as_ref().unwrap().page_size;
    let mut decoder = Decoder::new(page_size, Layout::default());
    let page: Vec<u8> = MARKER.iter().copied().cycle().take(page_size as usize).collect();
    let mut fill = |section: &vmstate::stream::Section| {
        let mut cursor = Cursor::new(&original, section.body_offset);
        let mut out = Writer::new();
        loop {
            let start = cursor.offset() as usize;
            let record = cursor.read(|input| decoder.decode(input)).unwrap();
            let head = &original[start..cursor.offset() as usize];
            match record {
                Record::Zero(at)
                    if !rings.contains(&Page { block: at.block, index: at.offset / page_size }) =>
                {
                    let first = u64::from_be_bytes(*head.first_chunk().unwrap());
                    out.u64(first & !0x02 | 0x08);
                    out.bytes(&head[8..head.len() - 1]);
                    out.bytes(&page);
                }
                Record::Page(_) => {
                    out.bytes(&original[start..start + head.len() + page.len()]);
                    cursor.skip(page_size).unwrap();
                }
                Record::EndOfSection => {
                    out.bytes(head);
                    return out.into_bytes();
                }
                _ => out.bytes(head),
            }
        }
    };
    let mut out = Vec::new();
    stream.write(&original, &mut |section| section.is_ram().then(|| fill(section)), &mut out).unwrap();
    out
}

fn redacted(bytes: &[u8], options: Options) -> Vec<u8> {
    let stream = Stream::scan(&bytes, &mut |_| ()).stream;
    let guest = Guest::decode(&stream, &bytes);
    let mut out = Vec::new();
    redact(&stream, &guest, &bytes, options, &mut out).unwrap();
    out
}

/// All devices as they load, rings and findings included.
fn loaded(bytes: &[u8]) -> Vec<Loaded> {
    let stream = Stream::scan(&bytes, &mut |_| ()).stream;
    let guest = Guest::decode(&stream, &bytes);
    guest.devices(&stream).map(|(_, device)| device.loaded.as_ref().unwrap().clone()).collect()
}

fn has_marker(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|window| window == MARKER)
}

#[test]
fn guest_data_is_gone_and_devices_are_the_same() {
    for name in [
        "x86-q35-packed-q10.0",
        "x86-microvm-mmio-modern-q10.0",
        "s390x-ccw-legacy-q7.2",
        "arm64-virt-pci-q7.2",
    ] {
        let recorded = bytes(name);
        let whole = with_guest_data(&recorded);
        assert!(has_marker(&whole), "{name}");
        let shared = redacted(&whole, Options::default());
        assert!(!has_marker(&shared), "{name} still has guest data");
        let (before, after) = (loaded(&recorded), loaded(&shared));
        assert!(!before.is_empty() && before == after, "{name}: devices differ");
        assert_eq!(redacted(&shared, Options::default()), shared, "{name}: twice is once");
    }
}

#[test]
fn redacted_streams_are_small() {
    for name in names().iter().filter(|name| name.contains("kitchen") || name.contains("mq4")) {
        let shared = redacted(&bytes(name), Options { mac: true });
        let packed = zstd::encode_all(shared.as_slice(), 19).unwrap().len();
        assert!(packed < 100 << 10, "{name}: {packed} bytes");
    }
}

#[test]
fn mac_addresses_are_replaced_on_request() {
    let name = "x86-q35-kitchen-q10.0";
    let mac = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
    let count = |bytes: &[u8]| bytes.windows(6).filter(|window| *window == mac).count();
    let original = bytes(name);
    assert!(count(&original) >= 1);
    assert_eq!(count(&redacted(&original, Options { mac: true })), 0);
}
