//! Takes a virtio-blk device out of a stream that a real QEMU wrote, with the write that it had in flight because its
//! disk was full, and lets it run here: the write is done, and returned to the guest's ring.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "an example is short"
)]

use std::error::Error;
use std::path::Path;

use virtio::core::{Endianness, Features};
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::disk::MemoryDisk;
use virtio::live::LiveCore;
use virtio::memory::{DeviceMemory, Layout};
use virtio::ring::Ram;
use virtio::section::{SectionName, load_unknown_section};
use virtio::shape::Shape;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmstate::Reader;
use vmstate::stream::Stream;

const STREAM: &str = "../../fixtures/x86-q35-blk-ioerr-q10.0.mig.zst";
const DEVICE: &str = "0000:00:03.0/virtio-blk";

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(STREAM);
    let opened = image::open(path.to_str().ok_or("a path in UTF-8")?, &mut |_| {})?;
    let source = opened.source.as_ref();
    let scan = Stream::scan(source, &mut |_| {});
    let stream = scan.stream;
    let machine = stream.configuration.as_ref().ok_or("a machine type")?.machine();
    let ram = stream.ram.as_ref().ok_or("RAM")?;

    // Guest memory, laid out as the machine type does it.
    let layout = Layout::for_ram(&machine, ram)?;
    let ranges: Vec<_> = layout
        .regions()
        .iter()
        .map(|region| Ok((GuestAddress(region.gpa), usize::try_from(region.length)?)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let memory = GuestMemoryMmap::<()>::from_ranges(&ranges)?;
    let mut page = vec![0; usize::try_from(ram.page_size)?];
    for region in layout.regions() {
        for offset in (0..region.length).step_by(page.len()) {
            ram.read(source, region.block, region.offset + offset, &mut page)?;
            memory.write_slice(&page, GuestAddress(region.gpa + offset))?;
        }
    }

    // The device: read by the load procedure, through the one door.
    let section = stream.section(DEVICE, 0).ok_or("the device")?;
    let name = SectionName::parse(&section.name).ok_or("a virtio device")?;
    let shape = Shape::unknown(name.device, name.transport, Endianness::Little);
    let body = Reader::new(section.body().ok_or("its state")?, section.body_offset);
    let guest = Ram(&memory);
    let (_, loaded) = load_unknown_section(shape, section.version, &DeviceMemory::direct(&guest), &body)?;
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
