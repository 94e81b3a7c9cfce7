//! Redacting: guest data is gone, devices and rings are there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test may panic"
)]

mod common;

use common::{bytes, decode, names};
use compat::profile::from_stream;
use compat::redact::{Options, redact};
use compat::verdict::{Incoming, check};
use virtio::guest::{Page, ring_pages};
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
    let original = decode(bytes);
    let mut out = Vec::new();
    redact(&original.stream, &original.guest, &bytes, options, &mut out).unwrap();
    out
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
        let (before, after) = (decode(&recorded).devices(), decode(&shared).devices());
        assert!(!before.is_empty() && before == after, "{name}: devices differ");
        assert_eq!(redacted(&shared, Options::default()), shared, "{name}: twice is once");
    }
}

/// QEMU refuses the stream of a PC if it does not find the size of an option ROM in the guest's RAM.
#[test]
fn the_head_of_an_option_rom_stays() {
    let shared = redacted(&with_guest_data(&bytes("x86-q35-packed-q10.0")), Options::default());
    let ram = decode(&shared).stream.ram.unwrap();
    let mut page = [0xff; 4096];
    ram.read(&shared, ram.block("pc.ram").unwrap(), 0xc_1000, &mut page).unwrap();
    // The marker was written over the ROM.
    let marker = &MARKER.repeat(200)[0x800..0x803];
    assert_eq!(&page[0x800..0x803], marker);
    assert!(page.iter().filter(|&&byte| byte != 0).count() <= 3);
}

#[test]
fn redacted_streams_are_small() {
    for name in names().iter().filter(|name| name.contains("kitchen") || name.contains("mq4")) {
        let shared = redacted(&bytes(name), Options { identities: true });
        let packed = zstd::encode_all(shared.as_slice(), 19).unwrap().len();
        assert!(packed < 100 << 10, "{name}: {packed} bytes");
    }
}

/// The address of the recorded machines' network device.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];

#[test]
fn identities_are_replaced_on_request_and_all_else_is_as_before() {
    let count = |bytes: &[u8]| bytes.windows(6).filter(|window| *window == MAC).count();
    let mut with_mac = 0;
    for name in names() {
        let original = bytes(&name);
        let shared = redacted(&original, Options { identities: true });
        with_mac += usize::from(count(&original) > 0);
        assert_eq!(count(&shared), 0, "{name}");
        let (before, after) = (decode(&original), decode(&shared));
        after.verify(&name);
        let findings = |devices: Vec<virtio::Loaded>| -> Vec<_> {
            devices.into_iter().map(|device| (device.findings, device.rings)).collect()
        };
        assert_eq!(findings(before.devices()), findings(after.devices()), "{name}");
        // To load, it is like the original: what may be asked of a destination is the same.
        let verdict = |of: &common::Decoded| {
            let incoming = Incoming { stream: &of.stream, guest: &of.guest, stopped: None };
            check(incoming, &from_stream(&before.stream, &before.guest))
        };
        assert_eq!(verdict(&before), verdict(&after), "{name}");
    }
    assert!(with_mac > 20, "only {with_mac} streams have the address");
}
