//! The SCSI host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use virtio::companion::{Companion, ScsiDisk};
use virtio::device::disk::{Disk, ErrorPolicy, FileDisk, MemoryDisk};
use virtio::device::scsi::{LiveScsi, ScsiAddress, ScsiBay, ScsiDrive, ScsiOptions};

use crate::bench::{Bench, Failing};

const CONTROL: usize = 0;
const EVENTS: usize = 1;
const REQUESTS: usize = 2;

/// A task attribute: what came before is done before.
const ORDERED: u8 = 1;

/// Responses.
const OVERRUN: u8 = 1;
const ABORTED: u8 = 2;
const BAD_TARGET: u8 = 3;
const RESET: u8 = 4;
const FAILURE: u8 = 9;
const SUCCEEDED: u8 = 10;
const REJECTED: u8 = 11;
const INCORRECT_LUN: u8 = 12;

/// Sense key, additional sense code and qualifier.
type Sense = (u8, u8, u8);
const POWER_ON: Sense = (6, 0x29, 0);
const INVALID_OPCODE: Sense = (5, 0x20, 0);
const OUT_OF_RANGE: Sense = (5, 0x21, 0);
const INVALID_FIELD: Sense = (5, 0x24, 0);
const NO_LUN: Sense = (5, 0x25, 0);
const WRITE_PROTECTED: Sense = (7, 0x27, 0);
const NO_SPACE: Sense = (7, 0x27, 7);
const MISCOMPARE: Sense = (0xe, 0x1d, 0);

pub(crate) fn at(target: u8, lun: u16) -> ScsiAddress {
    ScsiAddress { target, lun }
}

fn lun(address: ScsiAddress) -> [u8; 8] {
    let [high, low] = address.lun.to_be_bytes();
    [1, address.target, high | 0x40, low, 0, 0, 0, 0]
}

fn header(address: ScsiAddress, id: u64, cdb: &[u8], cdb_size: usize) -> Vec<u8> {
    let mut bytes = [lun(address).as_slice(), &id.to_le_bytes(), &[0; 3], cdb].concat();
    bytes.resize(19 + cdb_size, 0);
    bytes
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    response: u8,
    sense: Option<Sense>,
    residual: u32,
    data: Vec<u8>,
}

fn answer(used: &[u8], written: u32, sense_size: usize) -> Answer {
    let word = |at: usize| u32::from_le_bytes(used[at..at + 4].try_into().unwrap());
    let sense = &used[12..];
    let is_check = used[10] == 2;
    assert_eq!(word(0) > 0, is_check, "sense data comes with CHECK CONDITION");
    assert!(!is_check || sense[0] == 0x70);
    let (data, residual) = (used[12 + sense_size..].to_vec(), word(4));
    if !data.is_empty() && used[11] == 0 {
        assert_eq!(written as usize, used.len() - residual as usize);
    }
    let sense = is_check.then(|| (sense[2], sense[12], sense[13]));
    Answer { response: used[11], sense, residual, data }
}

fn ask(bench: &mut Bench, address: ScsiAddress, cdb: &[u8], out: &[u8], room: u32) -> Answer {
    let header = header(address, 7, cdb, 32);
    let parts = [header.as_slice(), out];
    let out = if out.is_empty() { &parts[..1] } else { &parts };
    let writable = [108, room];
    let used = bench.ask(REQUESTS, out, if room == 0 { &writable[..1] } else { &writable });
    answer(&used.data, used.written, 96)
}

/// A command that succeeds; gives its data.
fn good(bench: &mut Bench, cdb: &[u8], out: &[u8], room: u32) -> Vec<u8> {
    let answer = ask(bench, at(0, 0), cdb, out, room);
    assert_eq!((answer.response, answer.sense), (0, None), "{cdb:x?}");
    answer.data
}

fn fails(bench: &mut Bench, cdb: &[u8], out: &[u8], room: u32) -> Sense {
    let answer = ask(bench, at(0, 0), cdb, out, room);
    assert_eq!(answer.response, 0);
    answer.sense.unwrap_or_else(|| panic!("{cdb:x?} is good"))
}

fn manage(bench: &mut Bench, function: u32, address: ScsiAddress, id: u64) -> u8 {
    let request =
        [[0; 4], function.to_le_bytes()].concat().into_iter().chain(lun(address)).chain(id.to_le_bytes());
    bench.ask(CONTROL, &[&request.collect::<Vec<_>>()], &[1]).data[0]
}

fn drive(disk: impl Disk + 'static, serial: &str) -> ScsiDrive {
    ScsiDrive { disk: Box::new(disk), serial: serial.to_owned() }
}

fn with(disk: impl Disk + 'static, options: ScsiOptions) -> Bench {
    let device = LiveScsi::new([(at(0, 0), drive(disk, "disk-0"))], ScsiBay::default(), options);
    let mut bench = Bench::new(device);
    assert_eq!(fails(&mut bench, &[0], &[], 0), POWER_ON, "what comes first is told first");
    bench
}

fn bench() -> Bench {
    with(MemoryDisk::new(64), ScsiOptions::default())
}

fn write_10(lba: u8, blocks: u8) -> [u8; 10] {
    [0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

fn read_10(lba: u8, blocks: u8) -> [u8; 10] {
    [0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

#[test]
fn reads_what_was_written_with_commands_of_all_lengths() {
    let mut bench = bench();
    let commands: [(Vec<u8>, Vec<u8>); 4] = [
        (vec![0x0a, 0, 0, 3, 2, 0], vec![0x08, 0, 0, 3, 2, 0]),
        (write_10(3, 2).to_vec(), read_10(3, 2).to_vec()),
        (vec![0xaa, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0], vec![0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0]),
        (
            vec![0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0],
            vec![0x88, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0],
        ),
    ];
    for (value, (write, read)) in (1_u8..).zip(commands) {
        good(&mut bench, &write, &[value; 1024], 0);
        assert_eq!(good(&mut bench, &read, &[], 1024), [value; 1024]);
    }
    let longer = ask(&mut bench, at(0, 0), &read_10(4, 2), &[], 2000);
    assert_eq!((longer.residual, &longer.data[..1024]), (976, &[[4; 512], [0; 512]].concat()[..]));
    good(&mut bench, &[0x35], &[], 0);
    good(&mut bench, &[0x91], &[], 0);
    good(&mut bench, &[0x1b, 0, 0, 0, 1], &[], 0);
}

#[test]
fn verifies_unmaps_and_writes_the_same() {
    let mut bench = bench();
    good(&mut bench, &write_10(0, 4), &[9; 2048], 0);
    good(&mut bench, &[0x2f, 0, 0, 0, 0, 0, 0, 0, 4], &[], 0);
    good(&mut bench, &[0x2f, 2, 0, 0, 0, 1, 0, 0, 1], &[9; 512], 0);
    assert_eq!(fails(&mut bench, &[0x2f, 2, 0, 0, 0, 1, 0, 0, 1], &[8; 512], 0), MISCOMPARE);
    let segments = |list: &[(u64, u32)]| {
        let length = u16::try_from(list.len() * 16).unwrap();
        let mut bytes = [(length + 6).to_be_bytes(), length.to_be_bytes(), [0; 2], [0; 2]].concat();
        for (lba, blocks) in list {
            bytes.extend([&lba.to_be_bytes()[..], &blocks.to_be_bytes(), &[0; 4]].concat());
        }
        bytes
    };
    let unmap = |bytes: &[u8]| [0x42, 0, 0, 0, 0, 0, 0, 0, bytes.len() as u8, 0];
    let parameters = segments(&[(1, 1), (3, 1)]);
    good(&mut bench, &unmap(&parameters), &parameters, 0);
    let block = |value: u8| [value; 512];
    assert_eq!(
        good(&mut bench, &read_10(0, 4), &[], 2048),
        [block(9), block(0), block(9), block(0)].concat()
    );
    let beyond = segments(&[(0, 1), (64, 1)]);
    assert_eq!(fails(&mut bench, &unmap(&beyond), &beyond, 0), OUT_OF_RANGE);
    assert_eq!(good(&mut bench, &read_10(0, 1), &[], 512), block(9), "none of it was done");
    assert_eq!(fails(&mut bench, &unmap(&[0; 4]), &[0; 4], 0), (5, 0x1a, 0));

    good(&mut bench, &[0x41, 0, 0, 0, 0, 60, 0, 0, 3], &block(5), 0);
    good(&mut bench, &[0x93, 1, 0, 0, 0, 0, 0, 0, 0, 61, 0, 0, 0, 1], &[], 0);
    assert_eq!(good(&mut bench, &read_10(60, 3), &[], 1536), [block(5), block(0), block(5)].concat());
    assert_eq!(fails(&mut bench, &[0x41, 0, 0, 0, 0, 60, 0, 0, 0], &block(5), 0), INVALID_FIELD);
}

#[test]
fn says_what_it_is() {
    let device = LiveScsi::new(
        [(at(0, 0), drive(MemoryDisk::new(64), "disk-0")), (at(0, 300), drive(MemoryDisk::new(8), ""))],
        ScsiBay::default(),
        ScsiOptions::default(),
    );
    let mut bench = Bench::new(device);
    let inquiry = good(&mut bench, &[0x12, 0, 0, 0, 36], &[], 36);
    assert_eq!((&inquiry[..8], &inquiry[8..16]), (&[0, 0, 6, 0x12, 31, 0, 0, 2][..], &b"vmig    "[..]));
    let page = |bench: &mut Bench, page: u8| good(bench, &[0x12, 1, page, 0, 64], &[], 64);
    assert_eq!(page(&mut bench, 0)[..10], [0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    assert_eq!(page(&mut bench, 0x80)[..10], *b"\0\x80\0\x06disk-0");
    assert_eq!(page(&mut bench, 0x83)[..22], *b"\0\x83\0\x12\x02\x01\0\x0evmig    disk-0");
    let limits = page(&mut bench, 0xb0);
    assert_eq!((&limits[..5], &limits[20..28]), (&[0, 0xb0, 0, 60, 1][..], &[0, 1, 0, 0, 0, 0, 0, 32][..]));
    assert_eq!(page(&mut bench, 0xb1)[..6], [0, 0xb1, 0, 60, 0, 1]);
    assert_eq!(page(&mut bench, 0xb2)[..8], [0, 0xb2, 0, 4, 0, 0xe4, 2, 0]);
    assert_eq!(good(&mut bench, &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64], &[], 64)[..24], {
        let mut luns = [0; 24];
        (luns[3], luns[16], luns[17]) = (16, 0x41, 0x2c);
        luns
    });
    assert_eq!(
        good(&mut bench, &[3, 0, 0, 0, 18], &[], 18)[..14],
        [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0]
    );
    assert_eq!(good(&mut bench, &[3, 1, 0, 0, 8], &[], 8), [0x72, 0, 0, 0, 0, 0, 0, 0], "told once");

    assert_eq!(good(&mut bench, &[0x25], &[], 8), [0, 0, 0, 63, 0, 0, 2, 0]);
    let mut capacity = [0; 16];
    capacity[13] = 32;
    capacity[0] = 0x9e;
    capacity[1] = 0x10;
    let capacity = good(&mut bench, &capacity, &[], 32);
    assert_eq!(capacity[..16], [0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 2, 0, 0, 0, 0xc0, 0]);
    let caching = good(&mut bench, &[0x1a, 0, 8, 0, 64], &[], 64);
    assert_eq!(caching[..15], [31, 0, 0x10, 8, 0, 0, 0, 64, 0, 0, 2, 0, 8, 18, 4]);
    let caching = good(&mut bench, &[0x5a, 8, 0x48, 0, 0, 0, 0, 0, 64], &[], 64);
    assert_eq!(caching[..11], [0, 26, 0, 0x10, 0, 0, 0, 0, 8, 18, 0], "none can be changed");
    assert_eq!(fails(&mut bench, &[0x1a, 0, 0xc8, 0, 64], &[], 64), (5, 0x39, 0));

    let mut config = [0; 36];
    bench.core.read_config(0, &mut config);
    assert_eq!(config[..4], [1, 0, 0, 0]);
    assert_eq!(config[16..28], [16, 0, 0, 0, 96, 0, 0, 0, 32, 0, 0, 0]);
}

#[test]
fn the_driver_is_told_of_what_cannot_be() {
    let mut bench = bench();
    assert_eq!(fails(&mut bench, &read_10(63, 2), &[], 1024), OUT_OF_RANGE);
    let mut far = [0xff; 16];
    (far[0], far[1]) = (0x88, 0);
    (far[10], far[11], far[12], far[13]) = (0, 0, 0, 1);
    assert_eq!(fails(&mut bench, &far, &[], 512), OUT_OF_RANGE, "behind all ends");
    assert_eq!(fails(&mut bench, &[0xc7], &[], 0), INVALID_OPCODE);
    assert_eq!(fails(&mut bench, &[0x12, 1, 0x99, 0, 64], &[], 64), INVALID_FIELD);
    let response = |bench: &mut Bench, address, cdb: &[u8], out: &[u8], room| {
        let answer = ask(bench, address, cdb, out, room);
        assert_eq!(answer.sense, None);
        answer.response
    };
    assert_eq!(response(&mut bench, at(0, 0), &read_10(0, 2), &[], 512), OVERRUN);
    assert_eq!(response(&mut bench, at(0, 0), &write_10(0, 2), &[0; 1023], 0), OVERRUN);
    assert_eq!(response(&mut bench, at(0, 0), &[0x12, 0, 0, 0, 36], &[], 0), OVERRUN);
    assert_eq!(response(&mut bench, at(0, 0), &write_10(0, 1), &[0; 512], 512), FAILURE, "both ways");
    assert_eq!(response(&mut bench, at(1, 0), &[0], &[], 0), BAD_TARGET);
    let absent = ask(&mut bench, at(0, 9), &[0x12, 0, 0, 0, 36], &[], 36);
    assert_eq!((absent.sense, absent.data[0]), (None, 0x7f));
    assert_eq!(ask(&mut bench, at(0, 9), &read_10(0, 1), &[], 512).sense, Some(NO_LUN));
    assert_eq!(bench.core.broken(), None);
}

#[test]
fn a_read_only_disk_takes_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(8192).unwrap();
    let disk = FileDisk::new(file.reopen().unwrap(), true).unwrap();
    let mut bench = with(disk, ScsiOptions::default());
    assert_eq!(fails(&mut bench, &write_10(0, 1), &[1; 512], 0), WRITE_PROTECTED);
    assert_eq!(good(&mut bench, &read_10(15, 1), &[], 512), [0; 512]);
    assert_eq!(good(&mut bench, &[0x1a, 8, 8, 0, 64], &[], 64)[2], 0x90);
}

/// The driver chooses other sizes of CDB and sense data, and they are the same after a move.
#[test]
fn sizes_are_as_the_driver_chose_them() {
    let device = || {
        LiveScsi::new(
            [(at(0, 0), drive(MemoryDisk::new(64), ""))],
            ScsiBay::default(),
            ScsiOptions::default(),
        )
    };
    let mut bench = Bench::new(device());
    bench.core.write_config(20, &14_u32.to_le_bytes());
    for (offset, byte) in (24..).zip(16_u32.to_le_bytes()) {
        bench.core.write_config(offset, &[byte]);
    }
    bench.core.write_config(20, &0x1_0000_u32.to_le_bytes());
    for _ in 0..2 {
        let mut sizes = [0; 8];
        bench.core.read_config(20, &mut sizes);
        assert_eq!(sizes, [14, 0, 0, 0, 16, 0, 0, 0]);
        let used = bench.ask(REQUESTS, &[&header(at(0, 0), 1, &[0xc7], 16)], &[26]);
        let answer = answer(&used.data, used.written, 14);
        assert!([Some(POWER_ON), Some(INVALID_OPCODE)].contains(&answer.sense));
        assert_eq!(used.data[0], 14, "as much sense data as there is room for");
        bench.migrate(device());
    }
}

/// Several queues and disks, and one request served at a time: some are in flight when the host stops.
#[test]
fn what_is_in_flight_is_carried() {
    let disks = [MemoryDisk::new(64), MemoryDisk::new(64)];
    let options = ScsiOptions { queues: 3, at_once: 1, ..ScsiOptions::default() };
    let device = || {
        let drives = disks.clone().map(|disk| drive(disk, ""));
        LiveScsi::new([at(0, 0), at(3, 1)].into_iter().zip(drives), ScsiBay::default(), options.clone())
    };
    let mut bench = Bench::new(device());
    for address in [at(0, 0), at(3, 1)] {
        assert_eq!(ask(&mut bench, address, &[0], &[], 0).sense, Some(POWER_ON));
    }
    let mut heads = Vec::new();
    for (value, (queue, address)) in
        (1_u8..).zip([(2, at(0, 0)), (4, at(3, 1)), (4, at(0, 0)), (3, at(0, 0)), (2, at(3, 1))])
    {
        let header = header(address, u64::from(value) << 40 | 5, &write_10(value, 1), 32);
        heads.push((queue, bench.offer(queue, &[&header, &[value; 512]], &[108])));
    }
    bench.core.notify(2);
    assert!(bench.used(2).is_some(), "the first was served");
    bench.core.notify(4);
    bench.core.notify(3);
    assert!(bench.used(2).is_some() && bench.used(4).is_some());

    let state = bench.stop();
    let requests = |companion: &Companion| match companion {
        Companion::ScsiDisk(ScsiDisk { qdev, .. }) => qdev.requests.0.clone(),
        Companion::MemEarly(_) => panic!("{companion:?}"),
    };
    let companions = bench.companions();
    let [(first, one), (second, other)] = companions.as_slice() else { panic!("{companions:?}") };
    assert_eq!((first.as_str(), second.as_str()), ("0:0:0", "0:3:1"));
    assert_eq!(requests(other), []);
    let [a, b] = requests(one).try_into().unwrap();
    for (request, (value, queue)) in [(&a, (4, 1)), (&b, (3, 2))] {
        assert_eq!((request.progress, request.lun, request.queue, request.tag), (1, 0, queue, 5));
        assert_eq!(request.cdb.0[..10], write_10(value, 1));
        let disk = request.disk.unwrap();
        assert_eq!((disk.sector, disk.sector_count, disk.buflen), (value.into(), 1, 0));
        assert_eq!(request.element.out_sg[1].len, 512);
    }
    bench.go_on(device(), &state);
    assert_eq!(bench.used(4).unwrap().head, heads[2].1);
    assert_eq!(bench.used(3).unwrap().head, heads[3].1);
    for (value, disk) in [(1, 0), (2, 1), (3, 0), (4, 0), (5, 1)] {
        let mut block = [0; 512];
        disks[disk].clone().read(u64::from(value) * 512, &mut block).unwrap();
        assert_eq!(block, [value; 512]);
    }
}

#[test]
fn requests_wait_for_a_full_disk_and_are_done_in_order_on_another_host() {
    let (disk, full) = (MemoryDisk::new(64), Arc::new(AtomicBool::new(true)));
    let options = ScsiOptions { on_error: ErrorPolicy::Stop, ..ScsiOptions::default() };
    let device = || {
        let drives = [
            (at(0, 0), drive(Failing(disk.clone(), full.clone()), "")),
            (at(0, 1), drive(MemoryDisk::new(8), "")),
        ];
        LiveScsi::new(drives, ScsiBay::default(), options.clone())
    };
    let mut bench = Bench::new(device());
    assert_eq!(fails(&mut bench, &[0], &[], 0), POWER_ON);
    let mut unmap = [0; 24];
    (unmap[1], unmap[3], unmap[15], unmap[19]) = (22, 16, 6, 1);
    let parts: [(&[u8], &[u8]); 4] = [
        (&write_10(5, 1), &[3; 512]),
        (&write_10(5, 2), &[4; 1024]),
        (&[0x35], &[]),
        (&[0x42, 0, 0, 0, 0, 0, 0, 0, 24], &unmap),
    ];
    let heads = parts.map(|(cdb, data)| {
        let mut header = header(at(0, 0), 1, cdb, 32);
        header[16] = ORDERED;
        let all = [header.as_slice(), data];
        bench.offer(REQUESTS, if data.is_empty() { &all[..1] } else { &all }, &[108])
    });
    bench.core.notify(REQUESTS);
    bench.settle();
    assert_eq!(bench.used(REQUESTS), None);
    assert_eq!(good(&mut bench, &[0x25], &[], 8)[3], 63, "what it knows it says");
    assert_eq!(ask(&mut bench, at(0, 1), &[0], &[], 0).sense, Some(POWER_ON));
    assert_eq!(ask(&mut bench, at(0, 1), &write_10(0, 1), &[1; 512], 0).sense, None, "the other goes on");
    bench.migrate(device());
    assert_eq!(bench.used(REQUESTS), None, "still full");
    full.store(false, Ordering::Relaxed);
    bench.migrate(device());
    for head in heads {
        let used = bench.used(REQUESTS).unwrap();
        assert_eq!((used.head, answer(&used.data, used.written, 96).sense), (head, None));
    }
    let block = |value: u8| [value; 512];
    assert_eq!(good(&mut bench, &read_10(5, 2), &[], 1024), [block(4), block(0)].concat());

    full.store(true, Ordering::Relaxed);
    let mut reporting = with(Failing(disk, full), ScsiOptions::default());
    assert_eq!(fails(&mut reporting, &write_10(0, 1), &[1; 512], 0), NO_SPACE);
}

#[test]
fn tasks_are_asked_for_aborted_and_reset() {
    let full = Arc::new(AtomicBool::new(true));
    let options = ScsiOptions { on_error: ErrorPolicy::Stop, ..ScsiOptions::default() };
    let disk = MemoryDisk::new(64);
    let mut bench = with(Failing(disk.clone(), full.clone()), options.clone());
    let offer = |bench: &mut Bench, id: u64| {
        bench.offer(REQUESTS, &[&header(at(0, 0), id, &write_10(1, 1), 32), &[1; 512]], &[108]);
        bench.core.notify(REQUESTS);
        assert_eq!(bench.used(REQUESTS), None);
    };
    let ended = |bench: &mut Bench| answer(&bench.used(REQUESTS).unwrap().data, 108, 96).response;
    (1..=4).for_each(|id| offer(&mut bench, id));
    let (abort, abort_set, clear_set, nexus, unit, query, query_set) = (0, 1, 3, 4, 5, 6, 7);
    assert_eq!(manage(&mut bench, query, at(0, 0), 2), SUCCEEDED);
    assert_eq!(manage(&mut bench, query, at(0, 0), 9), 0);
    assert_eq!(manage(&mut bench, query_set, at(0, 0), 0), SUCCEEDED);
    // A task is known by what its driver calls it, also after a move.
    let device = LiveScsi::new([(at(0, 0), drive(Failing(disk, full), ""))], ScsiBay::default(), options);
    bench.migrate(device);
    assert_eq!(manage(&mut bench, abort, at(0, 0), 2), 0);
    assert_eq!(ended(&mut bench), ABORTED);
    assert_eq!(bench.used(REQUESTS), None, "the others wait");
    assert_eq!(manage(&mut bench, abort_set, at(0, 0), 0), 0);
    assert_eq!([ended(&mut bench), ended(&mut bench), ended(&mut bench)], [ABORTED; 3]);
    assert_eq!(manage(&mut bench, query_set, at(0, 0), 0), 0);
    offer(&mut bench, 5);
    assert_eq!(manage(&mut bench, unit, at(0, 0), 0), 0);
    assert_eq!(ended(&mut bench), RESET);
    assert_eq!(fails(&mut bench, &[0], &[], 0), (6, 0x29, 3));
    offer(&mut bench, 6);
    assert_eq!(manage(&mut bench, nexus, at(0, 9), 0), 0);
    assert_eq!(ended(&mut bench), RESET);
    assert_eq!(fails(&mut bench, &[0], &[], 0), (6, 0x29, 7));
    assert_eq!(manage(&mut bench, clear_set, at(0, 0), 0), 0);
    assert_eq!(manage(&mut bench, 2, at(0, 0), 0), REJECTED);
    assert_eq!(manage(&mut bench, query, at(0, 1), 0), INCORRECT_LUN);
    assert_eq!(manage(&mut bench, query, at(1, 0), 0), BAD_TARGET);
    for kind in [1_u8, 2] {
        let request = [&[kind, 0, 0, 0][..], &lun(at(0, 0)), &[0xff; 4]].concat();
        assert_eq!(bench.ask(CONTROL, &[&request], &[4, 1]).data, [0; 5], "no event is promised");
    }
}

#[test]
fn disks_come_grow_and_go() {
    let bay = ScsiBay::default();
    let device =
        LiveScsi::new([(at(0, 0), drive(MemoryDisk::new(64), ""))], bay.clone(), ScsiOptions::default());
    let mut bench = Bench::new(device);
    assert_eq!(fails(&mut bench, &[0], &[], 0), POWER_ON);
    let event = |bench: &mut Bench| {
        let used = bench.used(EVENTS).unwrap();
        let word = |at: usize| u32::from_le_bytes(used.data[at..at + 4].try_into().unwrap());
        (word(0), [used.data[5], used.data[7]], word(12))
    };
    let give = |bench: &mut Bench| {
        bench.offer(EVENTS, &[], &[16]);
        bench.core.notify(EVENTS);
    };
    give(&mut bench);
    bay.plug(at(0, 2), drive(MemoryDisk::new(8), ""));
    bench.settle();
    assert_eq!(event(&mut bench), (1, [0, 2], 1));
    assert_eq!(fails(&mut bench, &[0], &[], 0), (6, 0x3f, 0x0e), "the neighbour says so too");
    assert_eq!(ask(&mut bench, at(0, 2), &[0], &[], 0).sense, Some(POWER_ON));
    bay.resized(at(0, 2));
    bench.settle();
    assert_eq!(bench.used(EVENTS), None, "there is no buffer");
    give(&mut bench);
    assert_eq!(event(&mut bench), (0x8000_0000, [0, 0], 0), "an event was missed");
    give(&mut bench);
    bay.resized(at(0, 2));
    bench.settle();
    assert_eq!(event(&mut bench), (3, [0, 2], 0x092a));
    assert_eq!(ask(&mut bench, at(0, 2), &[0], &[], 0).sense, Some((6, 0x2a, 9)));
    give(&mut bench);
    bay.pull(at(0, 2));
    bay.pull(at(0, 7));
    bench.settle();
    assert_eq!(event(&mut bench), (1, [0, 2], 2));
    assert_eq!(ask(&mut bench, at(0, 2), &[0], &[], 0).sense, Some(NO_LUN));
}

#[test]
fn a_disk_that_is_not_here_cannot_go_on() {
    let mut bench = bench();
    let _ = bench.stop();
    let [(_, section)] = bench.companions().try_into().unwrap();
    let error = bench.core.resume_companion("0:1:0", section.clone()).unwrap_err();
    assert_eq!(error.to_string(), "the state has a disk at 0:1:0, the host here has disks at 0:0:0");
    let error = bench.core.resume_companion("x", section).unwrap_err();
    assert!(error.to_string().starts_with("`x` is not the address of a disk"), "{error}");
}
