//! Common device and queue fields: their load, in the pieces that the load procedure calls.

use serde::{Deserialize, Serialize};
use vmstate::{Described, Description, Reader, Result, VmState, Writer};

use super::queue::Queue;
use super::status::Status;
use super::subsections::Subsections;
use crate::shape::Shape;
use crate::transport::{RingLayout, TransportKind};

/// Queues a device can have (QEMU: `VIRTIO_QUEUE_MAX`); arrays over all queues have as many elements.
pub const VIRTIO_QUEUE_MAX: usize = 1024;

/// Common fields, queues and subsections of a device, as the stream has them: plain, and not yet trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// The device status byte.
    pub status: Status,
    /// Interrupt status: bit 0 a used buffer, bit 1 a configuration change.
    pub isr: u8,
    /// The queue the driver has selected (legacy and mmio registers).
    pub queue_sel: u16,
    /// Negotiated features 0–31. The subsections repeat them, with those above.
    pub guest_features: u32,
    /// The device's configuration space as last shown to the driver, in the device's byte order.
    #[serde(with = "hex::serde")]
    pub config: Vec<u8>,
    /// The queues, up to the first that is not there.
    pub queues: Vec<Queue>,
    /// What came after the first layout.
    pub subsections: Subsections,
}

/// The common device fields, as they lie on the wire.
#[derive(VmState)]
#[vmstate(name = "virtio common fields")]
struct CommonFields {
    /// The device status byte.
    status: u8,
    /// Interrupt status: bit 0 a used buffer, bit 1 a configuration change.
    isr: u8,
    /// The queue the driver has selected (legacy and mmio registers).
    queue_sel: u16,
    /// Negotiated features 0–31.
    guest_features: u32,
    /// Bytes of the configuration space.
    config_len: u32,
    /// The device's configuration space as last shown to the driver, in the device's byte order.
    #[vmstate(count = config_len)]
    config: Vec<u8>,
}

/// What is known of a device while its own data is read: subsections come later.
///
/// There is no byte order here, and no feature above 31, because nobody can know them yet. What depends
/// on them belongs into `post_load`.
#[derive(Debug, Clone, Copy)]
pub struct BeforeSubsections {
    guest_features_low: u32,
    /// How many queues the stream has.
    pub queues: usize,
    /// How the device is set up, as far as that shapes its data.
    pub shape: Shape,
}

impl BeforeSubsections {
    /// Whether a feature below 32 was negotiated.
    ///
    /// # Panics
    /// At compile time, for a feature above 31: it is not known before the subsections.
    #[must_use]
    pub fn has<const BIT: u8>(&self) -> bool {
        const { assert!(BIT < 32, "features above 31 come with the subsections") };
        self.guest_features_low >> BIT & 1 == 1
    }
}

impl Core {
    /// The common device fields.
    pub const COMMON_FIELDS: &Description = CommonFields::DESCRIPTION;

    /// Reads the common device fields, up to the number of queues.
    pub(crate) fn load_common(input: &mut Reader<'_>) -> Result<Self> {
        let CommonFields { status, isr, queue_sel, guest_features, config_len: _, config } =
            CommonFields::load_fields(input, 0, &())?;
        Ok(Self { status: Status(status), isr, queue_sel, guest_features, config, ..Self::default() })
    }

    /// Reads how many queue records follow.
    pub(crate) fn load_queue_count(&self, input: &mut Reader<'_>) -> Result<usize> {
        let at_count = input.clone();
        let count = input.u32().map_err(|e| e.in_field("queues"))?;
        at_count.backed(count.into(), 0, VIRTIO_QUEUE_MAX as u64, "queues").map_err(|e| e.in_field("queues"))
    }

    /// Reads the common part of a queue's record.
    pub(crate) fn load_queue(&mut self, layout: RingLayout, input: &mut Reader<'_>) -> Result<()> {
        let index = self.queues.len();
        let queue = Queue::load_fields(input, 0, &layout);
        self.queues.push(queue.map_err(|e| e.at_index(index).in_field("queues"))?);
        Ok(())
    }

    /// What device data may depend on.
    pub(crate) fn before_subsections(&self, shape: Shape) -> BeforeSubsections {
        BeforeSubsections { guest_features_low: self.guest_features, queues: self.queues.len(), shape }
    }

    /// Reads the subsections; the transport reads its own among them.
    pub(crate) fn load_subsections(
        &mut self,
        transport: TransportKind,
        input: &mut Reader<'_>,
    ) -> Result<()> {
        self.subsections = Subsections::load_body(input, Subsections::DESCRIPTION.version, &transport)?;
        Ok(())
    }

    /// The names of the subsections that are there, in the order they are saved.
    #[must_use]
    pub fn subsection_names(&self) -> Vec<String> {
        self.subsections.describe_body().subsections.into_iter().map(|sub| sub.vmsd_name).collect()
    }

    /// Writes the common device fields, with the number of queues.
    pub(crate) fn save_common(&self, out: &mut Writer) {
        let fields = CommonFields {
            status: self.status.0,
            isr: self.isr,
            queue_sel: self.queue_sel,
            guest_features: self.guest_features,
            config_len: saturate(self.config.len()),
            config: self.config.clone(),
        };
        VmState::<()>::save_body(&fields, out);
        out.u32(saturate(self.queues.len()));
    }
}

/// A length as the stream writes it. What was loaded always fits.
fn saturate(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
