//! Save images of libvirt.

use crate::common::{contents, error, fixture, open, stream};
use crate::packed::packed;
use image::Packing;
use vmstate::ram::Ram;
use vmstate::source::Source;
use vmstate::stream::Stream;

const XML: &str = "<domain type='kvm'>\n  <name>guest &amp; co</name>\n  <uuid>b5b7f2c4-2d0e-4a53-9f0e-5f6f8f1f0c11</uuid>\n</domain>\n";

/// A header as libvirt writes it: version, format and the byte order of its host.
fn save(version: u32, format: u32, order: fn(u32) -> [u8; 4], stream: &[u8]) -> Vec<u8> {
    let mut data = XML.as_bytes().to_vec();
    data.push(0);
    let cookie = u32::try_from(data.len()).unwrap();
    data.extend(b"<cookie/>\0");
    data.resize(data.len() + (64 << 10), 0);
    let length = u32::try_from(data.len()).unwrap();
    let mut file = b"LibvirtQemudSave".to_vec();
    file.extend([version, length, 1, format, cookie].map(order).concat());
    file.resize(92, 0);
    [file, data, stream.to_vec()].concat()
}

#[test]
fn every_compression_and_both_byte_orders() {
    let packings = [Packing::Gzip, Packing::Bzip2, Packing::Xz, Packing::Lzop, Packing::Zstd];
    let mut cases = vec![(0, "libvirt".to_owned(), stream()), (6, "libvirt+sparse".to_owned(), stream())];
    for (format, packing) in (1..).zip(packings) {
        cases.push((format, format!("libvirt+{packing}"), packed(packing, &stream())));
    }
    for (format, name, bytes) in cases {
        for order in [u32::to_le_bytes, u32::to_be_bytes] {
            let image = open(&save(2, format, order, &bytes), "").unwrap();
            assert_eq!(image.container.to_string(), name);
            assert!(contents(&image) == stream(), "{name}");
            let save = image.container.libvirt().unwrap();
            assert_eq!((save.was_running, save.domain_xml.as_str()), (true, XML));
            assert_eq!(save.name.as_deref(), Some("guest & co"));
            assert_eq!(save.uuid.as_deref(), Some("b5b7f2c4-2d0e-4a53-9f0e-5f6f8f1f0c11"));
        }
    }
}

#[test]
fn version_1_knows_no_compression() {
    let image = open(&save(1, 77, u32::to_le_bytes, &stream()), "").unwrap();
    assert_eq!(image.container.to_string(), "libvirt");
    assert!(contents(&image) == stream());
}

#[test]
fn a_compressed_save_image_is_opened_too() {
    let file = packed(Packing::Xz, &save(2, 1, u32::to_le_bytes, &packed(Packing::Gzip, &stream())));
    let image = open(&file, "").unwrap();
    assert_eq!(image.container.to_string(), "xz+libvirt+gzip");
    assert!(contents(&image) == stream());
}

#[test]
fn errors_say_what_was_expected() {
    let good = save(2, 5, u32::to_le_bytes, &packed(Packing::Zstd, &stream()));
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        error(&file, "")
    };
    assert!(with(0, b"LibvirtQemudPart").contains("was not finished"));
    assert!(with(16, &[3]).ends_with("as a libvirt save image: version at 0x10: version 3, expected 1 to 2"));
    let text = with(28, &[7]);
    assert!(
        text.contains("format at 0x1c: save format 0x7 is unknown, expected 0 (raw), 1 (gzip)"),
        "{text}"
    );
    assert!(with(20, &[0xff; 4]).contains("4294967295 bytes of domain XML, at most"));
    let text = error(&good[..1000], "");
    assert!(text.contains("bytes, 908 are left"), "{text}");
    assert!(error(&good[..50], "").contains("needs 92 bytes, 50 are left"));
    let text = error(&good[..good.len() - 9], "");
    assert!(text.contains("(libvirt+zstd)") && text.contains("complete"), "{text}");
    let text = error(&good, "#snapshot");
    assert!(text.contains("is no qcow2 image and has no snapshot `snapshot`"), "{text}");
}

#[test]
fn xml_that_is_not_well_formed_names_nobody() {
    let deep = "<a>".repeat(20_000);
    for xml in [deep.as_str(), "<domain>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "\0"] {
        let mut file = b"LibvirtQemudSave".to_vec();
        let length = u32::try_from(xml.len()).unwrap();
        file.extend([2, length, 0, 0, u32::MAX].map(u32::to_le_bytes).concat());
        file.resize(92, 0);
        file.extend(xml.bytes());
        let image = open(&file, "").unwrap();
        let save = image.container.libvirt().unwrap();
        assert_eq!((save.name.as_deref(), save.uuid.as_deref()), (None, None));
        assert!(!save.was_running);
        assert_eq!(image.source.len(), 0);
    }
}

/// QEMU counts the places of pages in a mapped-ram stream from the start of the file, not of the stream.
#[test]
fn pages_of_a_sparse_image_are_found() {
    let open = |name| image::open(fixture(name).to_str().unwrap(), &mut |_| ()).unwrap();
    let sparse = open("microvm-q10.0.save.zst");
    assert_eq!(sparse.container.to_string(), "zstd+libvirt+sparse");
    assert_eq!(sparse.source.origin(), 65_926);
    let pages = |source: &dyn Source| {
        let scan = Stream::scan(source, &mut |_| ());
        assert!(scan.stopped.is_none() && scan.stream.is_complete());
        let ram: Ram = scan.stream.ram.unwrap();
        let block = ram.block("pc.bios").unwrap();
        let mut bytes = vec![0; usize::try_from(ram.blocks[block].bytes).unwrap()];
        ram.read(source, block, 0, &mut bytes).unwrap();
        bytes
    };
    let firmware = pages(&sparse.source);
    assert!(firmware == pages(&plain().source), "as in the same guest's snapshot");
    assert!(firmware.iter().any(|&byte| byte != 0));
}

#[test]
fn a_sparse_image_is_not_written_without_its_header() {
    let image = image::open(fixture("microvm-q10.0.save.zst").to_str().unwrap(), &mut |_| ()).unwrap();
    let scan = Stream::scan(&image.source, &mut |_| ());
    let error = scan.stream.write(&image.source, &mut |_| None, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("count from 65926 bytes before it"), "{error}");
}

/// The same guest, its RAM page after page.
fn plain() -> image::Image {
    let path = format!("{}#first", fixture("microvm-q10.0.qcow2.zst").display());
    image::open(&path, &mut |_| ()).unwrap()
}
