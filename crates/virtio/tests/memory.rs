//! The memory that decoding takes: no more than 64 MiB beyond the size of the device sections, whatever the
//! counts in a stream say. `VMIG_EXHAUSTIVE=1` tries each count at each place.
//!
//! One test alone in its binary: another at the same time would be counted too.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use common::{bytes, names};
use peak_alloc::PeakAlloc;
use virtio::companion::Companion;
use virtio::guest::Guest;
use virtio::section::SectionName;
use vmstate::stream::{Section, Stream};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const BOUND: u64 = 64 << 20;
const COUNTS: [u32; 5] = [0xff, 0xffff, 0x00ff_ffff, 0x7fff_ffff, u32::MAX];

/// Decodes a stream, and says how many bytes that took at most, and how many its sections have.
fn decode(bytes: &[u8]) -> (u64, u64) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let scan = Stream::scan(&bytes, &mut |_| ());
    let guest = Guest::decode(&scan.stream, &bytes);
    let taken = MEMORY.peak_usage() - before;
    drop(guest);
    let sections = scan.stream.sections().filter(|section| !section.is_ram());
    (taken as u64, sections.map(|section| section.body_bytes).sum())
}

fn check(what: &str, bytes: &[u8]) {
    let (taken, sections) = decode(bytes);
    assert!(taken <= BOUND + sections, "{what}: {taken} bytes for sections of {sections}");
}

/// A stream of nothing but this section, without RAM and description.
fn alone(section: &Section, body: &[u8]) -> Vec<u8> {
    let header = b"QEVM\0\0\0\x03\x07\0\0\0\x0bpc-q35-10.0\x04\0\0\0\x07".to_vec();
    let name = [&[u8::try_from(section.name.len()).unwrap()], section.name.as_bytes()].concat();
    let version = [0_u32.to_be_bytes(), section.version.to_be_bytes()].concat();
    [header, name, version, body.to_vec(), b"\x7e\0\0\0\x07\0".to_vec()].concat()
}

/// A stream that announces as much as there can be, of everything.
fn announcing() -> Vec<Vec<u8>> {
    let header = b"QEVM\0\0\0\x03".to_vec();
    let ram = b"\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04".to_vec();
    let mapped =
        b"\x07\0\0\0\x02pc\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0amapped-ram".to_vec();
    let list = b"\xff\xff\xff\xff\xff\xff\xf0\x04\x03mem\xff\xff\xff\xff\xff\xff\xf0\0".to_vec();
    let map = b"\0\0\0\x01\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0".to_vec();
    let array = r#"{"name": "a", "array_len": 18446744073709551615, "type": "uint8", "size": 1}"#;
    let empty = r#"{"name": "b", "array_len": 18446744073709551615, "type": "buffer", "size": 0}"#;
    let described = |field: &str| {
        let json = format!(
            r#"{{"page_size": 4096, "devices": [{{"name": "x", "instance_id": 0, "version": 1, "fields": [{field}]}}]}}"#
        );
        let length = u32::try_from(json.len()).unwrap().to_be_bytes().to_vec();
        let section = b"\x04\0\0\0\x07\x01x\0\0\0\0\0\0\0\x01\0\0\0\0\x7e\0\0\0\x07\0\x06".to_vec();
        [header.clone(), section, length, json.into_bytes()].concat()
    };
    vec![
        [header.clone(), b"\x07\xff\xff\xff\xff".to_vec()].concat(),
        [header.clone(), b"\x08\0\x06\xff\xff\0".to_vec()].concat(),
        [header.clone(), b"\0\x06\xff\xff\xff\xff{\"page_size\"".to_vec()].concat(),
        [header.clone(), ram.clone(), list.clone()].concat(),
        [header.clone(), mapped, ram, list, map, vec![0xff; 1 << 16]].concat(),
        described(array),
        described(empty),
    ]
}

#[test]
fn no_count_takes_memory() {
    let step = if std::env::var_os("VMIG_EXHAUSTIVE").is_some() { 1 } else { 23 };
    for name in names() {
        check(&name, &bytes(&name));
    }

    for (index, stream) in announcing().iter().enumerate() {
        check(&format!("announcement {index}"), stream);
    }

    for name in ["s390x-ccw-ioerr-q10.0", "x86-q35-kitchen-q10.0", "x86-q35-serial-blocked-q10.0"] {
        let bytes = bytes(name);
        let stream = Stream::scan(&bytes, &mut |_| ()).stream;
        for section in stream.sections() {
            let is_device =
                SectionName::parse(&section.name).is_some() || Companion::of_section(&section.name).is_some();
            let Some(body) = section.body().filter(|_| is_device) else { continue };
            // The counts are near the ends; in between are tables of queues.
            let ends = (0..body.len()).filter(|place| *place < 600 || place + 600 > body.len());
            let tries = ends.flat_map(|place| COUNTS.map(|count| (place, count)));
            for (place, count) in tries.step_by(step) {
                let mut body = body.to_vec();
                let width = 4.min(body.len() - place);
                body[place..place + width].copy_from_slice(&count.to_be_bytes()[4 - width..]);
                check(&format!("{name}: {} {count:#x} at {place:#x}", section.name), &alone(section, &body));
            }
        }
    }
}
