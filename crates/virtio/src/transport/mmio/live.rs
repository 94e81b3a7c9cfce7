//! A device behind memory-mapped registers, as it runs (virtio 1.3 §4.2).
//!
//! What a driver writes for a queue is kept, as QEMU keeps it, until the driver makes the queue ready: only then the
//! core has it.

use vm_memory::GuestMemory;

use super::{Mmio, MmioExtraState, MmioModernState, register};
use crate::core::{Endianness, Features, Status};
use crate::live::{LiveCore, LiveDevice, LiveTransport, Place, ResumeError, Signals, StopError, Window};
use crate::loaded::{StoppedDevice, VirtioState};
use crate::ring::NotificationData;
use crate::transport::registers::{fill, half, set_half, wide};
use crate::transport::{ExtraState, Transport, TransportKind, TransportState};

/// A running device behind memory-mapped registers.
#[derive(Debug)]
pub struct LiveMmio<M> {
    core: LiveCore<M>,
    state: Mmio,
    /// Registers that only a modern device has.
    modern: Option<MmioModernState>,
}

impl<M: GuestMemory> LiveMmio<M> {
    /// A modern device (register layout version 2), which offers these features beside those of its type.
    #[must_use]
    pub fn new(device: Box<dyn LiveDevice<M>>, memory: M, reserved: Features) -> Self {
        let reserved = reserved | Features::from_iter([Features::VERSION_1]);
        let core = LiveCore::new(device, memory, reserved, Endianness::Little);
        Self { core, state: Mmio::default(), modern: Some(MmioModernState::default()) }
    }

    /// A legacy device (version 1), whose byte order is the guest's.
    #[must_use]
    pub fn legacy(
        device: Box<dyn LiveDevice<M>>,
        memory: M,
        reserved: Features,
        endianness: Endianness,
    ) -> Self {
        let modern_only = Features::from_iter([Features::VERSION_1, Features::RING_PACKED]);
        let core = LiveCore::new(device, memory, reserved.without(modern_only), endianness);
        Self { core, state: Mmio::default(), modern: None }
    }

    fn selected(&self) -> usize {
        self.core.queue_sel().into()
    }

    fn read_register(&self, offset: u64) -> u32 {
        let queue = self.core.queues().get(self.selected());
        let written = self.modern.as_ref().and_then(|modern| modern.vqs.get(self.selected()));
        match offset {
            register::MAGIC_VALUE => register::MAGIC,
            register::VERSION => 1 + u32::from(self.modern.is_some()),
            register::DEVICE_ID => self.core.device_type().id.into(),
            register::VENDOR_ID => register::VENDOR,
            register::DEVICE_FEATURES => half(self.core.offered(), self.state.host_features_sel),
            register::QUEUE_NUM_MAX => queue.map_or(0, |queue| queue.max_size().into()),
            register::QUEUE_PFN if self.modern.is_none() => {
                let desc = queue.map_or(0, |queue| queue.place().desc);
                u32::try_from(desc >> self.state.guest_page_shift.min(63)).unwrap_or_default()
            }
            register::QUEUE_READY => written.map_or(0, |queue| queue.enabled.into()),
            register::INTERRUPT_STATUS => self.core.isr().into(),
            register::STATUS => self.core.status().0.into(),
            register::CONFIG_GENERATION => self.core.config_generation().into(),
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32) {
        match offset {
            register::DEVICE_FEATURES_SEL => self.state.host_features_sel = value,
            register::DRIVER_FEATURES_SEL => self.state.guest_features_sel = value,
            register::DRIVER_FEATURES => self.write_features(value),
            register::QUEUE_SEL => self.core.select_queue(u16::try_from(value).unwrap_or(u16::MAX)),
            register::QUEUE_NOTIFY => self.notify(value),
            register::INTERRUPT_ACK => self.core.acknowledge(low_byte(value)),
            register::STATUS => self.write_status(low_byte(value)),
            _ if self.modern.is_some() => self.write_modern(offset, value),
            _ => self.write_legacy(offset, value),
        }
    }

    fn write_features(&mut self, value: u32) {
        let select = self.state.guest_features_sel;
        match &mut self.modern {
            Some(modern) => set_half(&mut modern.guest_features, select, value),
            None if select == 0 => drop(self.core.set_features(value.into())),
            None => {}
        }
    }

    fn write_status(&mut self, status: u8) {
        if status == 0 {
            self.state = Mmio::default();
            if let Some(modern) = &mut self.modern {
                *modern = MmioModernState::default();
            }
        }
        match &self.modern {
            Some(modern) if Status(status).has(Status::FEATURES_OK) => {
                self.core.agree(wide(modern.guest_features).into(), status);
            }
            _ => self.core.set_status(status),
        }
    }

    fn notify(&mut self, value: u32) {
        let has_data = self.core.negotiated().features.has(Features::NOTIFICATION_DATA);
        let queue = if has_data { NotificationData::from_bits(value).queue.into() } else { value };
        self.core.notify(usize::try_from(queue).unwrap_or(usize::MAX));
    }

    fn write_modern(&mut self, offset: u64, value: u32) {
        let index = self.selected();
        let Some(queue) = self.core.queues().get(index) else { return };
        let max = queue.max_size();
        let Some(modern) = &mut self.modern else { return };
        let mut queue = modern.vqs.get(index).copied().unwrap_or_default();
        let [desc, avail, used] = [&mut queue.desc, &mut queue.avail, &mut queue.used];
        match offset {
            register::QUEUE_NUM => queue.num = u16::try_from(value).unwrap_or_default().min(max),
            register::QUEUE_DESC_LOW => desc[0] = value,
            register::QUEUE_DESC_HIGH => desc[1] = value,
            register::QUEUE_DRIVER_LOW => avail[0] = value,
            register::QUEUE_DRIVER_HIGH => avail[1] = value,
            register::QUEUE_DEVICE_LOW => used[0] = value,
            register::QUEUE_DEVICE_HIGH => used[1] = value,
            register::QUEUE_READY => queue.enabled = value != 0,
            register::QUEUE_RESET if value == 1 => queue = super::MmioQueue::default(),
            _ => return,
        }
        modern.vqs.set(index, queue);
        match (offset, value) {
            (register::QUEUE_READY, 1..) => {
                let place =
                    Place { desc: wide(queue.desc), avail: wide(queue.avail), used: wide(queue.used) };
                self.core.set_queue_size(index, queue.num);
                self.core.enable_queue(index, place);
            }
            (register::QUEUE_READY, 0) | (register::QUEUE_RESET, 1) => self.core.reset_queue(index),
            _ => {}
        }
    }

    fn write_legacy(&mut self, offset: u64, value: u32) {
        let index = self.selected();
        match offset {
            register::GUEST_PAGE_SIZE => self.state.guest_page_shift = value.checked_ilog2().unwrap_or(0),
            register::QUEUE_NUM => {
                self.core.set_queue_size(index, u16::try_from(value).unwrap_or_default());
            }
            register::QUEUE_ALIGN => self.core.set_queue_align(index, value),
            register::QUEUE_PFN if value == 0 => self.core.reset_queue(index),
            register::QUEUE_PFN => {
                let desc = u64::from(value).checked_shl(self.state.guest_page_shift).unwrap_or_default();
                self.core.place_legacy_queue(index, desc);
            }
            _ => {}
        }
    }
}

impl<M: GuestMemory + Send> LiveTransport<M> for LiveMmio<M> {
    fn kind(&self) -> TransportKind {
        TransportKind::Mmio
    }

    fn core(&self) -> &LiveCore<M> {
        &self.core
    }

    fn core_mut(&mut self) -> &mut LiveCore<M> {
        &mut self.core
    }

    fn read(&mut self, _: Window, offset: u64, data: &mut [u8]) {
        if let Some(offset) = offset.checked_sub(register::CONFIG) {
            return self.core.read_config(usize::try_from(offset).unwrap_or(usize::MAX), data);
        }
        let value = if data.len() == 4 { self.read_register(offset) } else { 0 };
        fill(data, value);
    }

    fn write(&mut self, _: Window, offset: u64, data: &[u8]) {
        match (offset.checked_sub(register::CONFIG), data.first_chunk()) {
            (Some(offset), _) => {
                self.core.write_config(usize::try_from(offset).unwrap_or(usize::MAX), data);
            }
            (None, Some(value)) if data.len() == 4 => {
                self.write_register(offset, u32::from_le_bytes(*value));
            }
            _ => {}
        }
    }

    fn signals(&mut self) -> Signals {
        // All that is due shows in the interrupt status, and that is the line.
        drop(self.core.take_interrupts());
        Signals { line: self.core.isr() != 0, messages: Vec::new() }
    }

    fn stop(&mut self) -> Result<VirtioState, StopError> {
        let device = self.core.stop()?;
        drop(self.core.take_interrupts());
        let extra_state = ExtraState::Mmio(MmioExtraState { state: self.modern.clone() });
        let core = self.core.state(self.state.ring_layout(), Some(extra_state));
        Ok(VirtioState { transport: TransportState::Mmio(self.state.clone()), core, device })
    }

    fn resume(&mut self, stopped: StoppedDevice) -> Result<(), ResumeError> {
        let (TransportState::Mmio(state), extra) = self.core.resume(stopped)? else {
            self.core.reset();
            let found = "a device on another transport".to_owned();
            return Err(ResumeError::Kind { found, expected: "virtio-mmio".to_owned() });
        };
        self.state = state;
        if let (Some(modern), Some(ExtraState::Mmio(extra))) = (&mut self.modern, extra) {
            *modern = extra.state.unwrap_or_default();
        }
        Ok(())
    }
}

fn low_byte(value: u32) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}
