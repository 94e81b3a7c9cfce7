//! Drivers that give a SCSI host what makes no sense.

use proptest::collection::vec;
use proptest::prelude::*;
use virtio::device::disk::{ErrorPolicy, MemoryDisk};
use virtio::device::scsi::{LiveScsi, ScsiBay, ScsiDrive, ScsiOptions};

use crate::bench::Bench;
use crate::scsi::at;

fn device() -> LiveScsi {
    let drive = |sectors| ScsiDrive { disk: Box::new(MemoryDisk::new(sectors)), serial: String::new() };
    let options = ScsiOptions { at_once: 1, on_error: ErrorPolicy::Stop, ..ScsiOptions::default() };
    LiveScsi::new([(at(0, 0), drive(8)), (at(0, 1), drive(0))], ScsiBay::default(), options)
}

#[test]
fn a_chain_that_is_no_request_breaks_it() {
    for (queue, out, writable, what) in [
        (2, vec![0; 50], vec![108], "50 bytes for the device to read"),
        (2, vec![0; 51], vec![107], "107 to write"),
        (2, vec![0; 51], vec![], "0 to write"),
        (0, vec![0; 23], vec![1], "cut short after 23 bytes"),
        (0, vec![0; 3], vec![1], "cut short after 3 bytes"),
        (0, vec![1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], vec![4], "room for 4 bytes, expected 5"),
    ] {
        let mut bench = Bench::new(device());
        bench.offer(queue, &[&out], &writable);
        bench.core.notify(queue);
        let why = bench.core.broken().unwrap();
        assert!(why.contains(what), "{why}");
        bench.stop();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked, with whatever buffers: every request comes back, once, also if the host moves meanwhile.
    #[test]
    fn every_command_comes_back(
        requests in vec(
            (
                prop_oneof![Just([1_u8, 0, 0, 0]), Just([1, 0, 0x40, 1]), any::<[u8; 4]>()],
                0_u8..4,
                prop::sample::select(vec![
                    0x00_u8, 0x03, 0x04, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35,
                    0x41, 0x42, 0x55, 0x5a, 0x7f, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xaf, 0xff,
                ]),
                vec(prop_oneof![Just(0_u8), Just(1), Just(0xff), any::<u8>()], 31),
                vec(any::<u8>(), 0..1100),
                0_u32..1100,
            ),
            1..12,
        ),
        moves in any::<[bool; 12]>(),
    ) {
        let mut bench = Bench::new(device());
        let count = requests.len();
        for ((lun, attribute, opcode, rest, data, room), moves) in requests.into_iter().zip(moves) {
            let mut out = [&lun[..], &[0; 4], &[7; 8], &[attribute, 0, 0, opcode]].concat();
            out.extend(rest);
            let parts = [out.as_slice(), &data];
            let writable = [108, room];
            bench.offer(
                2,
                if data.is_empty() { &parts[..1] } else { &parts },
                if room == 0 { &writable[..1] } else { &writable },
            );
            bench.core.notify(2);
            if moves {
                bench.migrate(device());
            }
        }
        bench.settle();
        prop_assert_eq!(bench.core.broken(), None);
        let back = std::iter::from_fn(|| bench.used(2)).count();
        prop_assert_eq!(back, count);
    }

    #[test]
    fn no_control_request_panics(bytes in vec(prop_oneof![Just(0_u8), 0_u8..8, any::<u8>()], 1..40), room in 1_u32..8) {
        let mut bench = Bench::new(device());
        bench.offer(0, &[&bytes], &[room]);
        bench.core.notify(0);
        bench.settle();
        prop_assert!(bench.used(0).is_some() || bench.core.broken().is_some());
    }
}
