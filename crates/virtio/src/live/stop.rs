//! Stopping a device: the way from a device that runs to the state that the save procedure writes.

use vm_memory::GuestMemory;
use vmstate::types::Array;

use super::core::LiveCore;
use super::device::InFlight;
use super::error::StopError;
use crate::core::{
    Broken, Core, ExtraStateSubsection, Features, Features64, Features128, PackedVirtqueues, RingSize,
    Started, Status, Subsections, Virtqueues,
};
use crate::device::DeviceState;
use crate::live::{Interrupt, LiveQueue};
use crate::ring::QueueState;
use crate::transport::{ExtraState, RingLayout};

impl<M: GuestMemory> LiveCore<M> {
    /// Stops the device and all its queues, and gives its own state. Interrupts may be due
    /// ([`take_interrupts`](Self::take_interrupts)); after they are delivered, [`state`](Self::state) gives the
    /// core's.
    ///
    /// A device that goes on here, because its migration failed, is [resumed](Self::resume) from its own state.
    ///
    /// # Errors
    /// If the device does not hand over all that it took.
    pub fn stop(&mut self) -> Result<DeviceState, StopError> {
        let mut chains: Vec<Vec<_>> = self.queues.iter().map(|_| Vec::new()).collect();
        for (queue, chain) in self.device.hand_over() {
            match chains.get_mut(queue) {
                Some(chains) => chains.push(chain),
                None => {
                    let message = "a chain of a queue that is not there".to_owned();
                    return Err(StopError::Chains { queue, message });
                }
            }
        }
        let switches = self.switches();
        let mut in_flight = Vec::new();
        for ((index, queue), chains) in self.queues.iter_mut().enumerate().zip(chains) {
            let Some(running) = queue.running.take() else { continue };
            let stopped = running
                .stop(&self.memory, chains, switches)
                .map_err(|error| StopError::Chains { queue: index, message: error.to_string() })?;
            queue.state = stopped.state;
            if stopped.needs_notification {
                self.interrupts.raise(Interrupt::Queue(index));
            }
            in_flight.extend(stopped.elements.into_iter().map(|element| InFlight { queue: index, element }));
        }
        let (device, cx) = self.at_work();
        Ok(device.state(in_flight, &cx))
    }

    /// The core's state of a device that is stopped, behind a transport with such rings. Which subsections there are depends on what the device offers,
    /// not on what was negotiated.
    #[must_use]
    pub fn state(&self, layout: RingLayout, extra_state: Option<ExtraState>) -> Core {
        let has_upper = self.offered.0 >> 64 != 0;
        let features_128 = has_upper.then(|| Features128 { guest_features_hi: bits(self.features.0 >> 64) });
        let features_64 =
            (self.offered.0 >> 32 != 0).then(|| Features64 { guest_features: bits(self.features.0) });
        let packed = PackedVirtqueues { vq: Array::filled(QueueState::FIRST_TURN) };
        let mut core = Core {
            status: self.status,
            isr: self.isr,
            queue_sel: self.queue_sel,
            guest_features: u32::try_from(self.features.0 & 0xffff_ffff).unwrap_or_default(),
            config: self.config(),
            queues: self.queues.iter().map(|queue| queue.state.queue.clone()).collect(),
            subsections: Subsections {
                device_endian: None,
                features_128,
                features_64,
                virtqueues: self.offered.has(Features::VERSION_1).then(Virtqueues::default),
                ringsize: self.default_sizes(),
                broken: self.broken.then_some(Broken { broken: true }),
                extra_state: extra_state.map(|extra_state| ExtraStateSubsection { extra_state }),
                started: self.status.has(Status::DRIVER_OK).then_some(Started { started: true }),
                packed_virtqueues: self.offered.has(Features::RING_PACKED).then_some(packed),
                disabled: None,
            },
        };
        for (index, queue) in self.queues.iter().enumerate() {
            queue.state.put(&mut core, index);
            if let Some(record) = core.queues.get_mut(index) {
                let align = record.align.unwrap_or(RingLayout::LEGACY_ALIGNMENT);
                record.align = layout.has_alignment.then_some(align);
            }
        }
        core
    }

    /// Sizes after a reset, if a queue has another.
    fn default_sizes(&self) -> Option<RingSize> {
        let is_default = |queue: &LiveQueue| queue.size() == u32::from(queue.max_size());
        if self.queues.iter().all(is_default) {
            return None;
        }
        let mut num_default = Array::default();
        for (index, queue) in self.queues.iter().enumerate() {
            num_default.set(index, queue.max_size().into());
        }
        Some(RingSize { num_default })
    }
}

/// The low 64 bits.
fn bits(features: u128) -> u64 {
    u64::try_from(features & u128::from(u64::MAX)).unwrap_or_default()
}
