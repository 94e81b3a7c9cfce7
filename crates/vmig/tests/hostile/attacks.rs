//! Every attack there is a stream for: the one table of which `docs/security.md` is made.

use serde_json::json;
use virtio::VirtioState;
use virtio::companion::Companion;
use virtio::core::Endianness;
use virtio::device::{DeviceState, Mac};
use vmstate::Writer;
use vmstate::ram::{Block, Encoder, Mapped};
use vmstate::stream::Command;

use crate::forge::{BLOCK, Made, PAGE, Recorded, gzip, page};

/// A stream that means harm.
pub(crate) struct Attack {
    /// The CVE, or the class of mistake.
    pub(crate) name: &'static str,
    /// What is wrong with the stream.
    pub(crate) trick: &'static str,
    /// The stream.
    pub(crate) stream: fn() -> Vec<u8>,
    /// A line that `vmig verify` prints of it.
    pub(crate) says: &'static str,
}

const NET: &str = "0000:00:01.0/virtio-net";

fn net() -> Recorded {
    Recorded::named("x86-q35-net-mq4-q10.0")
}

/// Takes a device's own state out of it.
macro_rules! own {
    ($state:expr, $kind:ident) => {
        match &mut $state.device {
            DeviceState::$kind(device) => device,
            _ => panic!(concat!("not ", stringify!($kind))),
        }
    };
}

const DISK: &str = "0000:00:03.0/virtio-blk";

/// A disk with a request in flight.
fn disk() -> Recorded {
    Recorded::named("x86-q35-blk-ioerr-q10.0")
}

/// A SCSI disk with requests in flight, of which the first is changed.
fn scsi(change: impl FnOnce(&mut virtio::companion::Request)) -> Vec<u8> {
    Recorded::named("x86-q35-scsi-ioerr-q10.0").companion("0000:00:03.0/0:0:0/scsi-disk", |state| {
        let Companion::ScsiDisk(disk) = state else { panic!("not a disk") };
        change(&mut disk.qdev.requests.0[0]);
    })
}

/// A section `timer`, described as having these fields.
fn described(fields: &serde_json::Value, body: &[u8]) -> Vec<u8> {
    let device =
        json!({"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 1, "fields": fields});
    Made::new().section(7, "timer", body).described(&json!([device]))
}

/// A stream with mapped RAM of a page, and where its bitmap and its page are.
fn mapped(bitmap_offset: u64, pages_offset: u64) -> Vec<u8> {
    let mut block = Block::new(BLOCK, PAGE);
    block.mapped = Some(Mapped { page_size: PAGE, bitmap_offset, pages_offset });
    let mut stream = Made::with_blocks(&[block]).described(&json!([]));
    stream.resize(2 << 20, 0);
    stream
}

pub(crate) const ATTACKS: &[Attack] = &[
    Attack {
        name: "CVE-2013-4148",
        trick: "network device: `mac_table.in_use` is -1",
        stream: || net().device(NET, |state| own!(state, Net).mac_table_in_use = u32::MAX),
        says: "VM0002: 0000:00:01.0/virtio-net › virtio-net-device › mac_table.macs at 0x4b306: needs 25769803770 bytes, 45769 are left",
    },
    Attack {
        name: "CVE-2013-4149",
        trick: "network device: 65 addresses for a table of 64",
        stream: || {
            net().device(NET, |state| {
                let net = own!(state, Net);
                (net.mac_table_in_use, net.mac_table) = (65, vec![Mac([2; 6]); 65]);
            })
        },
        says: "VM0410: mac_table.in_use is 65, at most 64: the destination starts with an empty table",
    },
    Attack {
        name: "CVE-2013-4150",
        trick: "network device: more queue pairs in use than it has",
        stream: || {
            net().device(NET, |state| {
                let net = own!(state, Net);
                (net.curr_queue_pairs, net.more_tx_waiting) = (Some(900), vec![0; 899]);
            })
        },
        says: "VM0411: curr_queue_pairs is 900, at most 4 (max_queue_pairs)",
    },
    Attack {
        name: "CVE-2013-4151",
        trick: "more queues than any device can have",
        stream: || {
            net().count(
                NET,
                Endianness::Big,
                |state| {
                    state.core.queues.pop();
                },
                1025,
            )
        },
        says: "VM0103: 0000:00:01.0/virtio-net › queues at 0x4b25c: 1025 queues, at most 1024",
    },
    Attack {
        name: "CVE-2013-4535",
        trick: "block device: a request with 1025 buffers to write",
        stream: || {
            let pop = |state: &mut VirtioState| own!(state, Blk).requests.0[0].element.in_sg.clear();
            disk().count(DISK, Endianness::Little, pop, 1025)
        },
        says: "VM0103: 0000:00:03.0/virtio-blk › virtio-blk › requests[0] › request › element.in_num at 0x53916: 1025 buffers, at most 1024",
    },
    Attack {
        name: "CVE-2013-4536",
        trick: "block device: a request with 2^32 - 1 buffers to read",
        stream: || {
            let pop = |state: &mut VirtioState| own!(state, Blk).requests.0[0].element.out_sg.clear();
            disk().count(DISK, Endianness::Little, pop, u32::MAX)
        },
        says: "VM0103: 0000:00:03.0/virtio-blk › virtio-blk › requests[0] › request › element.out_num at 0x53912: 4294967295 buffers, at most 1024",
    },
    Attack {
        name: "CVE-2013-4542",
        trick: "SCSI disk: a request of a queue that no host has",
        stream: || scsi(|request| request.queue = u32::MAX),
        says: "VM0501: request 0 is of queue 4294967295, expected less than 1022: QEMU aborts",
    },
    Attack {
        name: "CVE-2013-4542",
        trick: "SCSI disk: a request of a queue that this host does not have",
        stream: || scsi(|request| request.queue = 500),
        says: "VM0501: request 0 is of queue 500, expected less than 1: QEMU aborts",
    },
    Attack {
        name: "CVE-2013-4542",
        trick: "SCSI disk: a request with more data than its transfer",
        stream: || {
            scsi(|request| {
                request.cdb.0[0] = 0x28;
                request.progress = 2;
                request.disk.as_mut().unwrap().buflen = 512;
                (request.read_length, request.data.0) = (Some(513), vec![0; 513]);
            })
        },
        says: "VM0502: request 0 has 513 bytes of data, at most 512 (buflen): QEMU aborts",
    },
    Attack {
        name: "CVE-2013-6399",
        trick: "`queue_sel` is behind the last queue there can be",
        stream: || net().device(NET, |state| state.core.queue_sel = 1024),
        says: "VM0301: queue_sel is 1024, expected less than 1024: the device has no such queue",
    },
    Attack {
        name: "CVE-2014-0182",
        trick: "a configuration space of 2^32 - 1 bytes",
        stream: || net().count(NET, Endianness::Big, |state| state.core.config.clear(), u32::MAX),
        says: "VM0002: 0000:00:01.0/virtio-net › config at 0x4b252: needs 4294967295 bytes, 45949 are left",
    },
    Attack {
        name: "CVE-2014-7840",
        trick: "a page behind the end of its block",
        stream: || {
            let records = |encoder: &mut Encoder, out: &mut Writer| encoder.zero(page(4), out);
            Made::new().ram(records).described(&json!([]))
        },
        says: "error[VM0105]: FILE: ram at 0x5a: page 0x4000 of block `pc.ram`, which has 0x4000 bytes",
    },
    Attack {
        name: "count",
        trick: "a console with 2^32 - 1 ports",
        stream: || {
            let recorded = Recorded::named("x86-q35-serial-blocked-q10.0");
            let pop = |state: &mut VirtioState| drop(own!(state, Console).ports.pop());
            recorded.count("0000:00:01.0/virtio-console", Endianness::Big, pop, u32::MAX)
        },
        says: "VM0002: 0000:00:01.0/virtio-console › virtio-console › ports at 0x3fa21: needs 42949672950 bytes, 94404 are left",
    },
    Attack {
        name: "count",
        trick: "a GPU with 17 scanouts",
        stream: || {
            Recorded::named("x86-q35-gpu-q10.0").device("0000:00:01.0/virtio-gpu", |state| {
                let gpu = own!(state, Gpu);
                let scanout = gpu.scanouts.scanout[0].clone();
                gpu.scanouts.scanout.resize(17, scanout);
            })
        },
        says: "VM0464: 17 scanouts, at most 16",
    },
    Attack {
        name: "count",
        trick: "described: an array of 2^60 elements",
        stream: || {
            described(
                &json!([{"name": "a", "type": "uint8", "size": 1, "array_len": 1_u64 << 60}]),
                b"0123456789",
            )
        },
        says: "VM0002: timer › a at 0x60: needs 1152921504606846976 bytes, 10 are left",
    },
    Attack {
        name: "length",
        trick: "described: fields that are longer than the section",
        stream: || described(&json!([{"name": "a", "type": "buffer", "size": u64::MAX}]), b"0123456789"),
        says: "VM0002: timer › a at 0x60: needs 18446744073709551615 bytes, 10 are left",
    },
    Attack {
        name: "length",
        trick: "described: sizes whose sum is 2^64 + 10",
        stream: || {
            let half = json!({"name": "a", "type": "buffer", "size": 1_u64 << 63});
            described(&json!([half, half, {"name": "b", "type": "buffer", "size": 10}]), b"0123456789")
        },
        says: "VM0002: timer › a at 0x60: needs 9223372036854775808 bytes, 10 are left",
    },
    Attack {
        name: "length",
        trick: "an XBZRLE run that leaves its page",
        stream: || {
            let records = |encoder: &mut Encoder, out: &mut Writer| {
                encoder.zero(page(0), out);
                encoder.xbzrle(page(0), 0xffff, out);
                out.bytes(&[0xff, 0x1f, 2, 1, 1]);
            };
            Made::new().ram(records).described(&json!([]))
        },
        says: "error[VM0002]: FILE: ram at 0x6d: needs 65535 bytes, 55 are left",
    },
    Attack {
        name: "length",
        trick: "a description of 4 GiB that is not there",
        stream: || Made::new().raw(b"\0\x06\xff\xff\xff\xff{").out.into_bytes(),
        says: "error[VM0103]: FILE: JSON description at 0x53: 4294967295 bytes of description, at most 67108864",
    },
    Attack {
        name: "length",
        trick: "a block of RAM larger than all RAM",
        stream: || {
            let mut stream = Made::new().described(&json!([]));
            let at = stream.windows(BLOCK.len()).position(|it| it == BLOCK.as_bytes()).unwrap() + BLOCK.len();
            stream[at] = 0xff;
            stream
        },
        says: "error[VM0103]: FILE: ram › pc.ram at 0x31: 18374686479671640064 bytes of RAM in the block list, at most 16384",
    },
    Attack {
        name: "offset",
        trick: "mapped RAM: pages behind the end of the file",
        stream: || mapped(1 << 20, 1 << 62),
        says: "error[VM0002]: FILE: ram at 0x4000000000001000: needs 8 bytes, 0 are left",
    },
    Attack {
        name: "offset",
        trick: "mapped RAM: an offset that overflows",
        stream: || mapped(u64::MAX, u64::MAX),
        says: "error[VM0105]: FILE: ram at 0x8b: pages of block `pc.ram` at 0xffffffffffffffff",
    },
    Attack {
        name: "offset",
        trick: "console: byte 2^64 - 1 of buffer 9 of what is read out",
        stream: || {
            let recorded = Recorded::named("x86-q35-serial-blocked-q10.0");
            recorded.device("0000:00:01.0/virtio-console", |state| {
                let popped =
                    own!(state, Console).ports.iter_mut().find_map(|port| port.element.as_mut()).unwrap();
                (popped.iov_idx, popped.iov_offset) = (9, u64::MAX);
            })
        },
        says: "VM0431: port 1: byte 18446744073709551615 of buffer 9 is not in the element read out",
    },
    Attack {
        name: "index",
        trick: "`last_avail_idx` far behind what the guest has offered",
        stream: || net().device(NET, |state| state.core.queues[0].last_avail_idx ^= 0x8000),
        says: "VM0303: queue 0 (size 1024): the guest has offered up to index 1024, the device has taken up to 32768: 33792 ahead, at most 1024",
    },
    Attack {
        name: "index",
        trick: "block device: a request of a queue that it does not have",
        stream: || disk().device(DISK, |state| own!(state, Blk).requests.0[0].queue = Some(99)),
        says: "VM0420: request 0 is of queue 99, expected less than 2",
    },
    Attack {
        name: "overlap",
        trick: "two blocks of RAM with one name",
        stream: || {
            Made::with_blocks(&[Block::new(BLOCK, PAGE), Block::new(BLOCK, PAGE)]).described(&json!([]))
        },
        says: "error[VM0105]: FILE: ram at 0x40: a second block `pc.ram`",
    },
    Attack {
        name: "overlap",
        trick: "descriptors that lie over the end of the address space",
        stream: || net().device(NET, |state| state.core.queues[0].desc = u64::MAX - 0xfff),
        says: "VM0305: queue 0: its ring memory cannot be reached: 0xfffffffffffff000 is not in guest memory",
    },
    Attack {
        name: "overlap",
        trick: "mapped RAM: pages that lie over the list of blocks",
        stream: || mapped(0, 0),
        says: "error[VM0105]: FILE: ram at 0x8b: pages of block `pc.ram` at 0x0",
    },
    Attack {
        name: "recursion",
        trick: "a description nested 100,000 deep",
        stream: || {
            let open =
                r#"{"name": "s", "type": "struct", "size": 1, "struct": {"vmsd_name": "n", "fields": ["#;
            let nested = open.repeat(100_000) + &"]}}".repeat(100_000);
            let device = format!(r#"{{"name": "timer", "instance_id": 0, "fields": [{nested}]}}"#);
            Made::new()
                .section(7, "timer", b"x")
                .finish(&format!(r#"{{"page_size": 4096, "devices": [{device}]}}"#))
        },
        says: "error[VM0110]: FILE: JSON description at 0xe06: the JSON description is not usable: recursion limit exceeded",
    },
    Attack {
        name: "recursion",
        trick: "100,000 packages, each in the one before",
        stream: || {
            let package = |made: Made, left: u32| made.command(Command::Packaged { bytes: 9 * left });
            (0..100_000).rev().fold(Made::new(), package).described(&json!([]))
        },
        says: "identical: 0 virtio devices, 0 sections that belong to them, and 0 others by the stream's description; 0 that nothing describes were copied",
    },
    Attack {
        name: "cycle",
        trick: "a subsection that comes a second time",
        stream: || {
            let subsection = json!({"vmsd_name": "timer/again", "version": 1, "fields": []});
            let device = json!({
                "name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 1, "fields": [],
                "subsections": [subsection, subsection],
            });
            let body = b"\x05\x0btimer/again\0\0\0\x01".repeat(2);
            Made::new().section(7, "timer", &body).described(&json!([device]))
        },
        says: "VM0107: timer at 0x71: subsection `timer/again` comes a second time",
    },
    Attack {
        name: "cycle",
        trick: "a page of the block before, and none came before",
        stream: || Made::new().ram(|_, out| out.u64(0x22)).described(&json!([])),
        says: "error[VM0105]: FILE: ram at 0x5a: CONTINUE, and no block came before",
    },
    Attack {
        name: "bomb",
        trick: "1 GiB of zeros in 1 MB of gzip",
        stream: || gzip(&vec![0; 4 << 20]).repeat(256),
        says: r#"error[VM0010]: FILE: at 0x0: not a migration stream: begins with 0x00000000, expected 0x5145564d ("QEVM")"#,
    },
    Attack {
        name: "bomb",
        trick: "a zstd frame with a window of 2^41 bytes",
        stream: || b"\x28\xb5\x2f\xfd\x00\xff\x01\0\0".to_vec(),
        says: "error: cannot unpack FILE (zstd): Frame requires too much memory for decoding; is the file complete?",
    },
];
