//! Takes a virtio-scsi host and its disk out of a stream that a real QEMU wrote, with the write that the disk had in
//! flight because its storage was full, and lets them run here: the write is done, and returned to the guest's ring.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "an example is short"
)]

mod recorded;

use std::error::Error;

use recorded::Recorded;
use virtio::companion::Companion;
use virtio::core::{Endianness, Features};
use virtio::device::disk::{Disk, MemoryDisk};
use virtio::device::scsi::{LiveScsi, ScsiAddress, ScsiBay, ScsiDrive, ScsiOptions};
use virtio::live::LiveCore;
use vm_memory::{Bytes, GuestAddress};

const STREAM: &str = "../../fixtures/x86-q35-scsi-ioerr-q10.0.mig.zst";
const HOST: &str = "0000:00:03.0/virtio-scsi";
const DISK: &str = "0000:00:03.0/0:0:0/scsi-disk";
/// The first request queue.
const REQUESTS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let guest = Recorded::open(STREAM)?;
    let memory = &guest.memory;
    let loaded = guest.device(HOST)?;
    let (queues, features) = (loaded.state.core.queues.len(), loaded.features);
    let before = loaded.rings[REQUESTS].used_idx;
    let section = guest.companion(DISK)?;
    let Companion::ScsiDisk(state) = &section else { return Err("a disk".into()) };
    let request = state.qdev.requests.first().ok_or("a request in flight")?.clone();

    // What the guest wants to write is seen on the disk: the recorded stream has zeros in place of its data.
    for (value, buffer) in (1_u8..).zip(request.element.out_sg.iter().skip(1)) {
        memory.write_slice(&vec![value; usize::try_from(buffer.len)?], GuestAddress(buffer.addr))?;
    }

    // A host of ours in its place: as many queues, the features that were negotiated, and a disk with room.
    let mut disk = MemoryDisk::new(1 << 16);
    let options =
        ScsiOptions { queues: u16::try_from(queues - REQUESTS)?, queue_size: 1024, ..ScsiOptions::default() };
    let drive = ScsiDrive { disk: Box::new(disk.clone()), serial: String::new() };
    let device = LiveScsi::new([(ScsiAddress { target: 0, lun: 0 }, drive)], ScsiBay::default(), options);
    let offered = Features(features.0);
    let mut core = LiveCore::new(Box::new(device), memory.clone(), offered, Endianness::Little);
    core.resume(loaded.accept()?)?;
    core.resume_companion("0:0:0", section)?;
    core.kick();
    while core.poll() {}
    if let Some(why) = core.broken() {
        return Err(why.into());
    }

    let after: u16 = memory.read_obj(GuestAddress(core.queues()[REQUESTS].place().used + 2))?;
    println!("used index before: {before:?}, after: {after}");
    assert_eq!(Some(after), before.map(|idx| idx.wrapping_add(1)), "the write was returned");
    let response = request.element.in_sg[0].addr;
    let [status, response]: [u8; 2] = memory.read_obj(GuestAddress(response + 10))?;
    assert_eq!((status, response), (0, 0), "the guest is told that it is good");
    let mut at = 0;
    for (value, buffer) in (1_u8..).zip(request.element.out_sg.iter().skip(1)) {
        let mut block = vec![0; usize::try_from(buffer.len)?];
        disk.read(at, &mut block)?;
        assert!(block.iter().all(|&byte| byte == value), "buffer {value} is on the disk");
        at += buffer.len;
    }
    println!("{at} bytes were written");
    Ok(())
}
