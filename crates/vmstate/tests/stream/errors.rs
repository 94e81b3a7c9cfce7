//! What stops a scan, and how it is said.

use std::io;

use vmstate::ErrorKind;
use vmstate::source::Source;
use vmstate::stream::{Scan, Stream};

use crate::builder::{Builder, PAGE, RAM_ID, Records, sample, scan, stopped};

#[test]
fn another_file_is_none() {
    assert_eq!(
        stopped(b"LibvirtQemudSave"),
        "at 0x0: not a migration stream: begins with 0x4c696276, expected 0x5145564d (\"QEVM\")"
    );
    assert_eq!(stopped(b"QEVM\0\0\0\x02"), "at 0x4: stream version 2, expected 3");
    assert_eq!(stopped(b""), "at 0x0: needs 4 bytes, 0 are left");
    assert_eq!(stopped(b"QEVM"), "at 0x4: needs 4 bytes, 0 are left");
}

#[test]
fn unknown_markers_and_parts() {
    assert_eq!(
        stopped(&Builder::new().u8(5).bytes),
        "at 0x18: section marker 0x5 is unknown, expected 0 (EOF), 1 (START), 2 (PART), 3 (END), 4 (FULL) or \
         8 (COMMAND)"
    );
    assert_eq!(
        stopped(&Builder::new().more(2, 7, b"").bytes),
        "at 0x18: a further part of section 7, which was not started"
    );
    assert_eq!(
        stopped(&Builder::new().command(99, b"").bytes),
        "command 99 at 0x19: command 0x63 is unknown, expected 1 to 11"
    );
}

#[test]
fn a_footer_that_is_missing() {
    let text = stopped(&Builder::new().hidden(9, "device", 0, b"abc").bytes[..0x2c]);
    assert_eq!(
        text,
        "device at 0x2c: no section footer: expected 0x7e and section id 9, found the end of the stream"
    );
    let mut bytes = Builder::new().ram_start(&[("ram", 1)]).device(9, "device", b"").bytes;
    let footer = bytes.iter().position(|&byte| byte == 0x7e).unwrap();
    bytes[footer + 4] = 0x77;
    let text = stopped(&bytes);
    assert!(text.starts_with("ram at ") && text.ends_with("section id 2, found 7e00000077"), "{text}");

    // The description is wrong, and there is no footer anywhere.
    let mut bytes = Builder::new().described(9, "device", 0, b"abcdefghijkl", 5).finish();
    let footer = bytes.windows(5).position(|bytes| bytes == b"\x7e\0\0\0\x09").unwrap();
    bytes[footer] = 0;
    let text = stopped(&bytes);
    assert!(text.starts_with("device at 0x") && text.ends_with("section id 9, found 666768696a"), "{text}");
}

#[test]
fn a_cut_footer() {
    let bytes = Builder::new().ram_start(&[("ram", 1)]).bytes;
    let text = stopped(&bytes[..bytes.len() - 2]);
    assert!(text.starts_with("ram › footer at 0x") && text.ends_with("needs 5 bytes, 3 are left"), "{text}");
}

#[test]
fn a_configuration_that_is_not_one() {
    assert_eq!(
        stopped(&Builder::bare().u8(7).raw(b"\xff\xff\xff\xff").bytes),
        "configuration › name at 0xd: 4294967295 elements, at most 255"
    );
    let text = stopped(&Builder::bare().configuration("m", b"\x05\x12configuration/else\0\0\0\x01").bytes);
    assert!(text.contains("subsection `configuration/else` is not known here"), "{text}");
    assert_eq!(
        stopped(&Builder::bare().u8(7).raw(b"\0\0").bytes),
        "configuration › len at 0x9: needs 4 bytes, 2 are left"
    );
}

fn in_ram(records: Records) -> String {
    let builder = Builder::new().ram_start(&[("pc.ram", 2), ("bios", 1)]);
    let text = stopped(&builder.ram_end(records).finish());
    let (place, text) = text.split_once(": ").unwrap();
    assert!(place.starts_with("ram"), "{place}");
    text.to_owned()
}

#[test]
fn records_that_make_no_sense() {
    assert_eq!(in_ram(Records::new().zero(None, 0)), "CONTINUE, and no block came before");
    assert_eq!(in_ram(Records::new().zero(Some("vga"), 0)), "a page of the unknown block `vga`");
    assert_eq!(
        in_ram(Records::new().zero(Some("pc.ram"), 2)),
        "page 0x2000 of block `pc.ram`, which has 0x2000 bytes"
    );
    assert_eq!(in_ram(Records::new().head(Some("pc.ram"), 0, 2).raw(&[7])), "7, expected 0");
    assert_eq!(
        in_ram(Records::new().head(Some("pc.ram"), 0, 0x40).raw(&[2, 0, 0])),
        "XBZRLE encoding 0x2 is unknown, expected 1"
    );
    assert!(in_ram(Records::new().u64(0x0a)).starts_with("RAM record flags 0xa is unknown, expected one of"));
    assert!(in_ram(Records::new().u64(0)).starts_with("RAM record flags 0x0 is unknown, expected one of"));
}

#[test]
fn records_that_are_recognised_and_refused() {
    for (flag, what) in [(1, "FULL"), (0x80, "RDMA"), (0x100, "compressed RAM")] {
        let text = in_ram(Records::new().u64(flag));
        assert!(text.contains(what) && text.ends_with("is not supported"), "{text}");
    }
}

#[test]
fn block_lists_that_do_not_add_up() {
    let list = |records: Records| stopped(&Builder::new().start(RAM_ID, "ram", 4, &records.eos().0).finish());
    let text = list(Records::new().u64(PAGE | 4).raw(b"\x01a").u64(2 * PAGE));
    assert!(text.ends_with("8192 bytes of RAM in the block list, at most 4096"), "{text}");
    let text = list(Records::new().u64((3 * PAGE) | 4).raw(b"\x01a").u64(PAGE).raw(b"\x01a").u64(PAGE));
    assert!(text.ends_with("a second block `a`"), "{text}");
    let text = list(Records::new().u64(PAGE | 4).raw(b"\x01\xff").u64(PAGE));
    assert!(text.ends_with("a name that is not UTF-8"), "{text}");
}

#[test]
fn a_version_of_ram_that_is_not_known() {
    let text = stopped(&Builder::new().start(RAM_ID, "ram", 3, b"").finish());
    assert!(text.starts_with("ram at ") && text.ends_with("version 3, expected 4 to 4"), "{text}");
}

#[test]
fn a_stream_cut_in_its_description_has_all_its_sections() {
    let bytes = sample();
    let whole = scan(&bytes).stream;
    for cut in [1, 20, 100] {
        let Scan { stream, stopped } = scan(&bytes[..bytes.len() - cut]);
        assert!(stream.is_complete() && stream.description.is_none());
        assert_eq!(stream.sections().count(), whole.sections().count());
        assert_eq!((stream.bytes, stream.trailing), ((bytes.len() - cut) as u64, 0));
        let text = stopped.unwrap().to_string();
        assert!(text.starts_with("JSON description at 0x") && text.contains("are left"), "{text}");
    }
}

#[test]
fn a_description_that_cannot_be_understood() {
    let Scan { stream, stopped } =
        scan(&Builder::new().device(1, "device", b"ab").finish_with("{\"page_size\": }"));
    assert!(stream.is_complete());
    let error = stopped.unwrap();
    assert!(matches!(error.kind(), ErrorKind::Description(_)), "{error}");
    assert!(error.to_string().starts_with("JSON description at 0x"), "{error}");
}

#[test]
fn a_description_that_is_not_reached_still_describes() {
    let mut bytes = Builder::new().device(1, "first", b"ab").device(2, "second", b"cd").finish();
    let at = bytes.windows(6).position(|bytes| bytes == b"second").unwrap();
    bytes[at - 6] = 0x55;
    let Scan { stream, stopped } = scan(&bytes);
    assert!(stopped.is_some() && !stream.is_complete());
    assert_eq!(stream.sections().count(), 1);
    assert_eq!(stream.description.unwrap().desc.devices.len(), 2);
}

/// Fails beyond some offset.
struct Failing(Vec<u8>, u64);

impl Source for Failing {
    fn len(&self) -> u64 {
        Source::len(&self.0)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset + buf.len() as u64 > self.1 {
            return Err(io::Error::other("a bad sector"));
        }
        self.0.read_at(offset, buf)
    }
}

#[test]
fn a_source_that_cannot_be_read() {
    let bytes = Builder::new().device(1, "first", &[1; 5000]).device(2, "second", &[2; 5000]).finish();
    for limit in [0, 100, 3000, 6000] {
        let error = Stream::scan(&Failing(bytes.clone(), limit), &mut |_| ()).stopped.unwrap();
        assert!(matches!(error.kind(), ErrorKind::Io(_)), "{error}");
    }
}
