//! The virtio core: what every virtio device has, whatever its transport and type.

mod common;
mod endianness;
mod features;
mod queue;
mod sanitize;
mod status;
mod subsections;

pub use common::{BeforeSubsections, Core, VIRTIO_QUEUE_MAX};
pub use endianness::Endianness;
pub use features::{Feature, Features, RESERVED_FEATURES};
pub use queue::{Queue, Ring};
pub use status::Status;
pub use subsections::{
    Broken, DeviceEndian, Disabled, ExtraStateSubsection, Features64, Features128, PackedQueue,
    PackedVirtqueues, RingSize, Started, Subsections, VirtQueue, Virtqueues,
};
