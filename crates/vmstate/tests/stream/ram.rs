//! RAM: what a page holds after all records.

use proptest::prelude::*;
use vmstate::ram::{Content, Ram, ReadError};

use crate::builder::{Builder, PAGE, RAM_ID, Records, scan, scan_whole};

const SIZE: usize = 4096;

fn ram(pages: u64, records: Records) -> (Vec<u8>, Ram) {
    let bytes = Builder::new().ram_start(&[("pc.ram", pages), ("pc.bios", 2)]).ram_end(records).finish();
    let ram = scan_whole(&bytes).ram.unwrap();
    (bytes, ram)
}

fn page(bytes: &[u8], ram: &Ram, page: u64) -> Result<Vec<u8>, ReadError> {
    let mut buf = vec![0xee; SIZE];
    ram.read(&bytes, 0, page * PAGE, &mut buf).map(|()| buf)
}

#[test]
fn blocks_and_records_are_counted() {
    let records = Records::new()
        .page(Some("pc.ram"), 0, 1)
        .zero(None, 1)
        .zero(Some("pc.bios"), 1)
        .page(Some("pc.ram"), 0, 2)
        .xbzrle(None, 0, &[0, 1, 7]);
    let (_, ram) = ram(4, records);
    assert_eq!((ram.normal, ram.zero, ram.xbzrle), (2, 2, 1));
    assert_eq!((ram.page_size, ram.bytes, ram.multifd), (PAGE, 6 * PAGE, false));
    assert_eq!(ram.block("pc.bios"), Some(1));
    assert_eq!(ram.block("vga"), None);
    assert_eq!(ram.blocks[1].bytes, 2 * PAGE);
}

#[test]
fn a_page_is_there_or_zero_or_not_in_the_stream() {
    let (bytes, ram) = ram(3, Records::new().page(Some("pc.ram"), 0, 0xab).zero(None, 1));
    assert_eq!(page(&bytes, &ram, 0).unwrap(), [0xab; SIZE]);
    assert_eq!(page(&bytes, &ram, 1).unwrap(), [0; SIZE]);
    let error = page(&bytes, &ram, 2).unwrap_err();
    assert_eq!(error.to_string(), "the page at 0x2000 of block `pc.ram` is not in the stream");
    let error = ram.read(&bytes, 0, 3 * PAGE - 1, &mut [0; 2]).unwrap_err();
    assert_eq!(error.to_string(), "block `pc.ram` has 0x3000 bytes, none at 0x2fff");
    assert!(matches!(ram.read(&bytes, 7, 0, &mut [0]), Err(ReadError::OutOfBounds { .. })));
    assert!(matches!(ram.read(&bytes, 0, u64::MAX, &mut [0; 2]), Err(ReadError::OutOfBounds { .. })));
    ram.read(&bytes, 0, 3 * PAGE, &mut []).unwrap();
}

#[test]
fn reading_crosses_pages() {
    let records = Records::new().page(Some("pc.ram"), 0, 1).zero(None, 1).page(None, 2, 3);
    let (bytes, ram) = ram(4, records);
    let mut buf = vec![0xee; SIZE + 20];
    ram.read(&bytes, 0, PAGE - 10, &mut buf).unwrap();
    assert_eq!(buf, [vec![1; 10], vec![0; SIZE], vec![3; 10]].concat());
    let error = ram.read(&bytes, 0, 3 * PAGE - 1, &mut buf[..2]).unwrap_err();
    assert!(matches!(error, ReadError::Absent { offset, .. } if offset == 3 * PAGE));
}

#[test]
fn changes_apply_to_what_came_before() {
    let records = Records::new()
        .page(Some("pc.ram"), 0, 1)
        .zero(None, 1)
        .xbzrle(None, 0, &[2, 2, 0xa, 0xb])
        .xbzrle(None, 1, &[0, 1, 5])
        .xbzrle(None, 0, &[3, 1, 0xc])
        .xbzrle(None, 2, &[0, 1, 5]);
    let (bytes, ram) = ram(3, records);
    let mut buf = [0; 6];
    ram.read(&bytes, 0, 0, &mut buf).unwrap();
    assert_eq!(buf, [1, 1, 0xa, 0xc, 1, 1]);
    ram.read(&bytes, 0, PAGE, &mut buf).unwrap();
    assert_eq!(buf, [5, 0, 0, 0, 0, 0]);
    ram.read(&bytes, 0, 3, &mut buf[..2]).unwrap();
    assert_eq!(buf[..2], [0xc, 1], "a part of a changed page");
    assert!(matches!(page(&bytes, &ram, 2), Err(ReadError::Absent { .. })), "there is nothing to change");
}

#[test]
fn broken_changes_are_noticed_when_the_page_is_read() {
    let (bytes, ram) = ram(1, Records::new().page(Some("pc.ram"), 0, 1).xbzrle(None, 0, &[1, 9, 1]));
    let error = page(&bytes, &ram, 0).unwrap_err().to_string();
    assert!(error.starts_with("ram › XBZRLE page at 0x"), "{error}");
    assert!(error.ends_with("needs 9 bytes, 1 are left"), "{error}");
}

#[test]
fn pages_over_other_channels_are_not_in_the_stream() {
    let (bytes, ram) = ram(1, Records::new().u64(0x200));
    assert!(ram.multifd);
    assert!(matches!(page(&bytes, &ram, 0), Err(ReadError::Absent { .. })));
}

#[test]
fn the_same_block_goes_on_in_the_next_section() {
    let bytes = Builder::new()
        .ram_start(&[("pc.ram", 2)])
        .more(2, RAM_ID, &Records::new().zero(Some("pc.ram"), 0).eos().0)
        .ram_end(Records::new().zero(None, 1))
        .finish();
    let ram = scan_whole(&bytes).ram.unwrap();
    assert_eq!(
        ram.runs(0).map(|run| (run.first, run.count, run.content)).collect::<Vec<_>>(),
        [(0, 2, Content::Zero)]
    );
}

#[test]
fn runs_are_compact() {
    let records =
        (1..200).fold(Records::new().page(Some("pc.ram"), 0, 1), |records, page| records.page(None, page, 1));
    let (bytes, ram) = ram(200, records);
    let runs: Vec<_> = ram.runs(0).collect();
    assert_eq!(runs.len(), 1);
    let Content::Data { offset, stride } = runs[0].content else { panic!("{runs:?}") };
    assert_eq!(stride, 4104);
    let at = usize::try_from(offset).unwrap();
    assert_eq!((runs[0].count, bytes[at - 1], bytes[at]), (200, b'm', 1));
    assert_eq!(ram.runs(1).count(), 0);
    assert_eq!(ram.runs(2).count(), 0);
}

#[test]
fn the_page_size_is_in_the_description_or_in_the_configuration() {
    let large: u64 = 1 << 16;
    let records = Records::new().u64((4 * large) | 4).raw(b"\x03mem").u64(4 * large).eos();
    let pages =
        Records::new().u64(large | 8).raw(b"\x03mem").raw(&vec![6; 1 << 16]).u64(0x22).raw(&[0]).eos();
    let bits = b"\x05\x1econfiguration/target-page-bits\0\0\0\x01\0\0\0\x10";
    let start = |builder: Builder| builder.start(RAM_ID, "ram", 4, &records.0).more(3, RAM_ID, &pages.0);
    let described = start(Builder::new()).finish_with(r#"{"page_size": 65536, "devices": []}"#);
    let configured = start(Builder::bare().configuration("virt-10.0", bits)).finish_bare();
    let both = start(Builder::bare().configuration("virt-10.0", bits))
        .finish_with(r#"{"page_size": 7, "devices": []}"#);
    for bytes in [described, configured, both] {
        let ram = scan_whole(&bytes).ram.unwrap();
        assert_eq!(ram.page_size, large);
        let mut buf = [0; 2];
        ram.read(&bytes, 0, 2 * large - 2, &mut buf).unwrap();
        assert_eq!(buf, [6, 6]);
        ram.read(&bytes, 0, 0, &mut buf).unwrap();
        assert_eq!(buf, [0, 0]);
    }
}

#[test]
fn a_cut_stream_has_the_pages_that_came() {
    let records = Records::new().page(Some("pc.ram"), 0, 1).page(None, 1, 2);
    let bytes = Builder::new().ram_start(&[("pc.ram", 2)]).more(2, RAM_ID, &records.0).bytes;
    let cut = bytes[..bytes.len() - 5 - 10].to_vec();
    let scan = scan(&cut);
    let error = scan.stopped.unwrap().to_string();
    assert!(error.starts_with("ram at ") && error.ends_with("needs 4096 bytes, 4086 are left"), "{error}");
    let ram = scan.stream.ram.unwrap();
    assert_eq!(page(&cut, &ram, 0).unwrap(), [1; SIZE]);
    assert!(matches!(page(&cut, &ram, 1), Err(ReadError::Absent { .. })));
}

/// One step of a source that sends pages, and dirties them.
#[derive(Debug, Clone)]
enum Step {
    Page(u64, u8),
    Zero(u64),
    Change(u64, u8, u8),
    NextSection,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u64, 1..=u8::MAX).prop_map(|(page, fill)| Step::Page(page, fill)),
        4 => (0..12_u64).prop_map(Step::Zero),
        2 => (0..12_u64, 0..100_u8, any::<u8>()).prop_map(|(page, skip, value)| Step::Change(page, skip, value)),
        1 => Just(Step::NextSection),
    ]
}

proptest! {
    /// Against a destination that keeps the whole memory.
    #[test]
    fn agrees_with_a_destination(steps in proptest::collection::vec(step(), 0..60)) {
        let mut memory: Vec<Option<Vec<u8>>> = vec![None; 12];
        let mut builder = Builder::new().ram_start(&[("pc.ram", 12)]);
        let mut records = Records::new();
        let mut block = Some("pc.ram");
        for step in steps {
            match step {
                Step::Page(page, fill) => {
                    records = records.page(block.take(), page, fill);
                    memory[usize::try_from(page).unwrap()] = Some(vec![fill; SIZE]);
                }
                Step::Zero(page) => {
                    records = records.zero(block.take(), page);
                    memory[usize::try_from(page).unwrap()] = Some(vec![0; SIZE]);
                }
                Step::Change(page, skip, value) => {
                    let Some(known) = &mut memory[usize::try_from(page).unwrap()] else { continue };
                    known[usize::from(skip)] = value;
                    records = records.xbzrle(block.take(), page, &[skip, 1, value]);
                }
                Step::NextSection => {
                    builder = builder.more(2, RAM_ID, &std::mem::take(&mut records).eos().0);
                }
            }
        }
        let bytes = builder.ram_end(records).finish();
        let ram = scan_whole(&bytes).ram.unwrap();
        for (number, expected) in (0..).zip(&memory) {
            match (page(&bytes, &ram, number), expected) {
                (Ok(found), Some(expected)) => prop_assert_eq!(&found, expected),
                (Err(ReadError::Absent { .. }), None) => {}
                (found, _) => prop_assert!(false, "page {}: {:?}", number, found),
            }
        }
    }
}
