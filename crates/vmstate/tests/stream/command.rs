//! Commands, and what they change for the rest of the stream.

use vmstate::ram::ReadError;
use vmstate::stream::{Command, PageSizes, RamDiscard, Record};

use crate::builder::{Builder, PAGE, RAM_ID, Records, scan_whole, stopped};

fn advise(sizes: u64) -> Vec<u8> {
    [sizes.to_be_bytes(), PAGE.to_be_bytes()].concat()
}

/// A block list whose blocks say the page size of the host.
fn list(blocks: &[(&str, u64, Option<u64>)], after: u64) -> Vec<u8> {
    let total: u64 = blocks.iter().map(|(_, bytes, _)| bytes).sum();
    let mut records = Records::new().u64(total | 4);
    for (name, bytes, page_size) in blocks {
        records = records.raw(&[u8::try_from(name.len()).unwrap()]).raw(name.as_bytes()).u64(*bytes);
        if let Some(page_size) = page_size {
            records = records.u64(*page_size);
        }
    }
    records.u64(after).0
}

#[test]
fn commands_are_read_where_they_stand() {
    let bytes = Builder::new()
        .command(1, b"")
        .command(2, b"\0\0\0\x05")
        .command(11, b"")
        .device(1, "device", b"a")
        .finish();
    let stream = scan_whole(&bytes);
    let commands: Vec<_> = stream
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Command { command, .. } => Some(command.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(commands, [Command::OpenReturnPath, Command::Ping(5), Command::SwitchoverStart]);
}

#[test]
fn the_block_list_may_have_page_sizes_once_post_copy_is_announced() {
    let huge = 2 << 20;
    for (last, after) in [(None, 0x10), (Some(huge), 0x10), (None, 0x200), (Some(huge), 0x200)] {
        let blocks = [("pc.ram", 4 * huge, Some(huge)), ("pc.bios", PAGE, None), ("last", huge, last)];
        let mut list = list(&blocks, after);
        if after != 0x10 {
            list.extend(0x10_u64.to_be_bytes());
        }
        let bytes = Builder::new().command(3, &advise(huge | PAGE)).start(RAM_ID, "ram", 4, &list).finish();
        let ram = scan_whole(&bytes).ram.unwrap();
        let found: Vec<_> =
            ram.blocks.iter().map(|block| (block.name.as_str(), block.bytes, block.page_size)).collect();
        assert_eq!(found, blocks);
    }
}

#[test]
fn page_sizes_and_addresses_go_together() {
    let capabilities = b"\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0fx-ignore-shared";
    let huge: u64 = 2 << 20;
    let list = Records::new()
        .u64((2 * huge + 2 * PAGE) | 4)
        .raw(b"\x01a")
        .u64(huge)
        .u64(huge) // its page size
        .u64(0x4000_0000)
        .raw(b"\x01b")
        .u64(2 * PAGE)
        .u64(huge) // its address
        .raw(b"\x01c")
        .u64(huge)
        .u64(huge)
        .u64(0)
        .eos();
    let bytes = Builder::bare()
        .configuration("pc-q35-10.0", capabilities)
        .command(3, &advise(huge | PAGE))
        .start(RAM_ID, "ram", 4, &list.0)
        .finish();
    let ram = scan_whole(&bytes).ram.unwrap();
    let found: Vec<_> = ram.blocks.iter().map(|block| (block.page_size, block.address)).collect();
    assert_eq!(found, [(Some(huge), Some(0x4000_0000)), (None, Some(huge)), (Some(huge), Some(0))]);
}

#[test]
fn a_discarded_page_is_not_in_the_stream_until_it_comes_again() {
    let discard =
        [b"\0\x06pc.ram\0".to_vec(), PAGE.to_be_bytes().to_vec(), (2 * PAGE).to_be_bytes().to_vec()];
    let first =
        (1..4).fold(Records::new().page(Some("pc.ram"), 0, 1), |records, page| records.page(None, page, 1));
    let bytes = Builder::new()
        .command(3, &advise(PAGE))
        .ram_start(&[("pc.ram", 4)])
        .more(2, RAM_ID, &first.eos().0)
        .command(6, &discard.concat())
        .ram_end(Records::new().page(Some("pc.ram"), 2, 9))
        .finish();
    let stream = scan_whole(&bytes);
    let command = RamDiscard { block: "pc.ram".into(), ranges: vec![(PAGE, 2 * PAGE)] };
    assert!(stream.records.iter().any(
        |record| matches!(record, Record::Command { command: Command::PostcopyRamDiscard(it), .. } if *it == command)
    ));
    let ram = stream.ram.unwrap();
    let byte = |page: u64| {
        let mut byte = [0];
        ram.read(&bytes, 0, page * PAGE, &mut byte).map(|()| byte[0])
    };
    assert_eq!(byte(0).unwrap(), 1);
    assert!(matches!(byte(1), Err(ReadError::Absent { offset: PAGE, .. })));
    assert_eq!(byte(2).unwrap(), 9);
    assert_eq!(byte(3).unwrap(), 1);
}

#[test]
fn a_package_goes_on_inline() {
    let inner = Builder::new().command(4, b"").device(7, "device", b"abc").command(5, b"").bytes;
    let inner = &inner[Builder::new().bytes.len()..];
    let length = u32::try_from(inner.len()).unwrap().to_be_bytes();
    let bytes = Builder::new().command(7, &length).raw(inner).finish_bare();
    let stream = scan_whole(&bytes);
    assert_eq!(stream.section("device", 0).unwrap().body().unwrap(), b"abc");
    assert_eq!(stream.records.len(), 5);
}

#[test]
fn advice_has_two_page_sizes_or_none() {
    let sizes = PageSizes { blocks: PAGE, target: PAGE };
    for (payload, expected) in [(advise(PAGE), Some(sizes)), (Vec::new(), None)] {
        let stream = scan_whole(&Builder::new().command(3, &payload).finish());
        let Some(Record::Command { command, offset: 24 }) = stream.records.first() else { panic!() };
        assert_eq!(*command, Command::PostcopyAdvise(expected));
    }
    let text = stopped(&Builder::new().command(3, &[0; 8]).finish());
    assert_eq!(text, "command 3 at 0x19: a payload of 8 bytes, 8 too few");
}
