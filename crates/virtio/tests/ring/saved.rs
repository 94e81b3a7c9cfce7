//! A queue's state as the bytes of a device's section, and back.

use virtio::core::{
    Core, DeviceEndian, Features64, PackedVirtqueues, Queue, Status, Subsections, Virtqueues,
};
use virtio::device::blk::{Blk, BlkRequest};
use virtio::device::{DeviceState, DeviceType};
use virtio::element::Element;
use virtio::memory::DeviceMemory;
use virtio::ring::{QueueState, Ram, Stopped};
use virtio::section::{load_section, save_section};
use virtio::shape::{Shape, Switch};
use virtio::transport::{Mmio, TransportKind, TransportState};
use virtio::{Loaded, VirtioState};
use vmstate::types::List;
use vmstate::{Reader, Writer};

use super::driver::{Config, Memory};

/// The shape of a block device that offers packed rings, whatever the driver took.
pub(crate) fn shape() -> Shape {
    let device = DeviceType::of_section("virtio-blk").unwrap();
    let mut shape = Shape::unknown(device, TransportKind::Mmio, virtio::core::Endianness::Little);
    shape.switches = shape.switches.with(Switch::Packed);
    shape
}

fn save(config: Config, stopped: Stopped) -> Vec<u8> {
    let guest_features = u64::try_from(config.features().0).unwrap();
    let mut core = Core {
        status: Status(Status::ACKNOWLEDGE | Status::DRIVER | Status::DRIVER_OK),
        guest_features: u32::try_from(guest_features & 0xffff_ffff).unwrap(),
        queues: vec![Queue::default()],
        subsections: Subsections {
            device_endian: config.big_endian.then_some(DeviceEndian { device_endian: 2 }),
            features_64: Some(Features64 { guest_features }),
            virtqueues: Some(Virtqueues::default()),
            packed_virtqueues: Some(PackedVirtqueues::default()),
            ..Subsections::default()
        },
        ..Core::default()
    };
    let mut state = stopped.state;
    state.queue.align = Some(4096);
    state.put(&mut core, 0);
    let requests = stopped.elements.into_iter().map(|element| BlkRequest { queue: None, element });
    let device = DeviceState::Blk(Blk { requests: List(requests.collect()) });
    let state = VirtioState { transport: TransportState::Mmio(Mmio::default()), core, device };
    let mut out = Writer::new();
    save_section(&state, &mut out);
    out.into_bytes()
}

/// What a destination makes of a queue that was stopped: its state and its elements.
pub(crate) fn through_bytes(
    config: Config,
    memory: &Memory,
    stopped: Stopped,
) -> (Loaded, QueueState, Vec<Element>) {
    let bytes = save(config, stopped);
    let ram = Ram(memory);
    let loaded = load_section(&shape(), 2, &DeviceMemory::direct(&ram), &Reader::new(&bytes, 0)).unwrap();
    assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    let state = QueueState::of(&loaded, 0).unwrap();
    let DeviceState::Blk(blk) = &loaded.state.device else { panic!("a block device") };
    let elements = blk.requests.iter().map(|request| request.element.clone()).collect();
    (loaded, state, elements)
}
