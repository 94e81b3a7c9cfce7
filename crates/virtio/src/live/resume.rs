//! Taking up a device that was stopped: the way from a state that passed the door to a device that runs.

use vm_memory::GuestMemory;

use super::core::LiveCore;
use super::error::ResumeError;
use super::interrupts::Interrupts;
use crate::companion::Companion;
use crate::core::{Core, Features, Ring, Status};
use crate::live::LiveQueue;
use crate::loaded::{Loaded, StoppedDevice, VirtioState};
use crate::ring::QueueState;
use crate::transport::{ExtraState, TransportState};

impl<M: GuestMemory> LiveCore<M> {
    /// Goes on as a device that was stopped, and gives what its transport has to take up: its own state, and what
    /// the core carried for it. Guest memory must be loaded. What was notified and not served shows only in the
    /// rings: [`kick`](Self::kick) once everything runs.
    ///
    /// # Errors
    /// If it is not such a device, or cannot run here. The device is as after a reset then.
    pub fn resume(
        &mut self,
        stopped: StoppedDevice,
    ) -> Result<(TransportState, Option<ExtraState>), ResumeError> {
        self.reset();
        let resumed = self.take_up(stopped);
        if resumed.is_err() {
            self.reset();
        }
        resumed
    }

    /// Takes up what came in a section of its own, behind that of the device.
    ///
    /// # Errors
    /// If there is no such companion here, or it cannot go on.
    pub fn resume_companion(&mut self, address: &str, companion: Companion) -> Result<(), ResumeError> {
        let (device, mut cx) = self.at_work();
        device.resume_companion(address, companion, &mut cx)
    }

    fn take_up(
        &mut self,
        stopped: StoppedDevice,
    ) -> Result<(TransportState, Option<ExtraState>), ResumeError> {
        let is_broken = stopped.loaded().is_broken();
        let Loaded { state: VirtioState { transport, core, device }, features, rings, .. } =
            stopped.into_loaded();
        let (found, expected) = (device.device_type(), self.device_type());
        if found.section != expected.section {
            return Err(ResumeError::other_type(found, expected));
        }
        self.take_up_queues(&core, &rings)?;
        self.take_up_registers(&core, features);
        self.broken = is_broken;
        if self.status.has(Status::DRIVER_OK) && !is_broken {
            self.start_queues()?;
        }
        let (live, mut cx) = self.at_work();
        live.resume_config(&core.config, &cx.negotiated);
        live.resume(device, &mut cx)?;
        Ok((transport, core.subsections.extra_state.map(|carried| carried.extra_state)))
    }

    fn take_up_registers(&mut self, core: &Core, features: Features) {
        self.status = core.status;
        self.isr = core.isr;
        self.queue_sel = core.queue_sel;
        self.features = features;
        self.interrupts = Interrupts::default();
    }

    fn take_up_queues(&mut self, core: &Core, rings: &[Ring]) -> Result<(), ResumeError> {
        let queues = self.queues.len();
        for (index, ring) in rings.iter().enumerate() {
            match self.queues.get_mut(index) {
                Some(queue) => {
                    if let Some(state) = QueueState::of_ring(core, ring) {
                        queue.state = state;
                    }
                }
                None if ring.desc != 0 => return Err(ResumeError::Queues { queue: index, queues }),
                None => {}
            }
        }
        self.queues.iter_mut().skip(rings.len()).for_each(LiveQueue::reset);
        Ok(())
    }
}
