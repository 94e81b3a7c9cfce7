//! Takes a virtio-blk device out of a stream that a real QEMU wrote, with the write that it had in flight because its
//! disk was full, and lets it run here: the write is done, and returned to the guest's ring.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "an example is short"
)]

mod recorded;

use std::error::Error;

use recorded::Recorded;
use virtio::core::{Endianness, Features};
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::disk::MemoryDisk;
use virtio::live::LiveCore;
use vm_memory::{Bytes, GuestAddress};

const STREAM: &str = "../../fixtures/x86-q35-blk-ioerr-q10.0.mig.zst";
const DEVICE: &str = "0000:00:03.0/virtio-blk";

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let guest = Recorded::open(STREAM)?;
    let memory = &guest.memory;
    let loaded = guest.device(DEVICE)?;
    let (queues, features) = (loaded.state.core.queues.len(), loaded.features);
    let before: Vec<_> = loaded.rings.iter().map(|ring| ring.used_idx).collect();

    // A device of ours in its place: as many queues, the features that were negotiated, and a disk with room.
    let options = BlkOptions { queues: u16::try_from(queues)?, queue_size: 1024, ..BlkOptions::default() };
    let device = LiveBlk::new(Box::new(MemoryDisk::new(1 << 16)), options);
    let offered = Features(features.0);
    let mut core = LiveCore::new(Box::new(device), memory.clone(), offered, Endianness::Little);
    core.resume(loaded.accept()?)?;
    core.kick();
    while core.poll() {}
    if let Some(why) = core.broken() {
        return Err(why.into());
    }
    let after: Vec<u16> = core
        .queues()
        .iter()
        .map(|queue| memory.read_obj(GuestAddress(queue.place().used + 2)))
        .collect::<Result<_, _>>()?;
    println!("used indexes before: {before:?}, after: {after:?}");
    assert_eq!(Some(after[0]), before[0].map(|idx| idx.wrapping_add(1)), "the write was returned");
    Ok(())
}
