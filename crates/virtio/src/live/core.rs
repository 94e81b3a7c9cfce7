//! The core of a running device: status, features, queues and interrupts, as the registers of every transport
//! reach them (virtio 1.3 §2).

use vm_memory::GuestMemory;

use super::context::Context;
use super::device::{LiveDevice, Negotiated};
use super::error::Breakage;
use super::interrupts::{Interrupt, Interrupts};
use super::queues::{LiveQueue, Place};
use crate::core::{Endianness, Features, Status};
use crate::device::DeviceType;
use crate::ring::{RingError, RunningQueue};
use crate::shape::{Shape, Switch, Switches};
use crate::transport::TransportKind;

/// A used buffer, in the interrupt status (virtio 1.3 §4.1.4.5).
const ISR_QUEUE: u8 = 1;
/// A configuration change.
const ISR_CONFIG: u8 = 2;

/// A running device without its transport.
pub struct LiveCore<M> {
    pub(super) device: Box<dyn LiveDevice<M>>,
    pub(super) memory: M,
    pub(super) offered: Features,
    /// The byte order of a legacy device: the guest's.
    pub(super) default_endianness: Endianness,
    pub(super) status: Status,
    pub(super) isr: u8,
    pub(super) queue_sel: u16,
    pub(super) features: Features,
    pub(super) queues: Vec<LiveQueue>,
    pub(super) interrupts: Interrupts,
    /// Changes with each change of the configuration space.
    config_generation: u8,
    pub(super) broken: bool,
    breakage: Option<Breakage>,
}

impl<M> std::fmt::Debug for LiveCore<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut device = f.debug_struct("LiveCore");
        device.field("status", &self.status).field("features", &self.features).finish_non_exhaustive()
    }
}

impl<M: GuestMemory> LiveCore<M> {
    /// A device as after a reset. Beside the features of its type it offers those of rings and transport
    /// in `reserved` (virtio 1.3 §6): `VERSION_1` makes it a modern device.
    #[must_use]
    pub fn new(
        device: Box<dyn LiveDevice<M>>,
        memory: M,
        reserved: Features,
        default_endianness: Endianness,
    ) -> Self {
        let offered = device.features() | reserved;
        let queues = device.queue_sizes().into_iter().map(LiveQueue::new).collect();
        Self {
            device,
            memory,
            offered,
            default_endianness,
            status: Status(0),
            isr: 0,
            queue_sel: 0,
            features: Features(0),
            queues,
            interrupts: Interrupts::default(),
            config_generation: 0,
            broken: false,
            breakage: None,
        }
    }

    /// Facts about the device's type.
    #[must_use]
    pub fn device_type(&self) -> &'static DeviceType {
        self.device.device_type()
    }

    /// The device itself: for its machine, which may have something to tell it.
    pub fn device_mut(&mut self) -> &mut dyn LiveDevice<M> {
        &mut *self.device
    }

    /// What a stream is loaded with that shall go on in this device.
    #[must_use]
    pub fn shape(&self, transport: TransportKind) -> Shape {
        Shape {
            device: self.device_type(),
            transport,
            default_endianness: self.default_endianness,
            host_features: Some(self.offered),
            switches: self.switches(),
        }
    }

    /// Properties that change the layout of the device's state.
    pub(super) fn switches(&self) -> Switches {
        let switches = self.device.switches();
        // What is in flight may be carried by the device, or by what has a section behind it.
        if self.offered.has(Features::RING_PACKED) { switches.with(Switch::Packed) } else { switches }
    }

    /// The features that the device offers.
    #[must_use]
    pub fn offered(&self) -> Features {
        self.offered
    }

    /// What was negotiated so far. A device whose driver has accepted `VERSION_1` is little-endian.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        let endianness = match self.features.has(Features::VERSION_1) {
            true => Endianness::Little,
            false => self.default_endianness,
        };
        Negotiated { features: self.features, endianness }
    }

    /// The driver accepts these features; those that are not offered are left out. Does nothing once negotiation
    /// is over. Gives whether all were offered.
    pub fn set_features(&mut self, features: Features) -> bool {
        let unknown = features.without(self.offered);
        if !self.status.has(Status::FEATURES_OK) {
            self.features = features.without(unknown);
        }
        unknown == Features(0)
    }

    /// The driver writes a device status byte with `FEATURES_OK`, and so accepts these features. If not all are
    /// offered the device does not take them (virtio 1.3 §3.1.1): the driver reads a status without that bit.
    pub fn agree(&mut self, features: Features, status: u8) {
        let all_offered = self.set_features(features);
        self.set_status(if all_offered { status } else { status & !Status::FEATURES_OK });
    }

    /// The device status byte.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The driver writes the device status byte; 0 resets the device.
    pub fn set_status(&mut self, status: u8) {
        if status == 0 {
            return self.reset();
        }
        let before = self.status;
        // A device's word, not its driver's.
        let needs_reset = before.0 & Status::DEVICE_NEEDS_RESET;
        self.status = Status(status | needs_reset);
        if self.status.has(Status::DRIVER_OK) && !before.has(Status::DRIVER_OK) {
            let started = self.start_queues();
            self.or_break(started);
            self.serve(|device, cx| device.driver_ok(cx));
        }
    }

    /// As it was made.
    pub fn reset(&mut self) {
        self.device.reset();
        self.status = Status(0);
        self.isr = 0;
        self.queue_sel = 0;
        self.features = Features(0);
        self.queues.iter_mut().for_each(LiveQueue::reset);
        self.interrupts = Interrupts::default();
        self.broken = false;
        self.breakage = None;
    }

    /// The interrupt status.
    #[must_use]
    pub fn isr(&self) -> u8 {
        self.isr
    }

    /// The driver has seen these bits of the interrupt status.
    pub fn acknowledge(&mut self, bits: u8) {
        self.isr &= !bits;
    }

    /// The queue that the driver has selected.
    #[must_use]
    pub fn queue_sel(&self) -> u16 {
        self.queue_sel
    }

    /// The driver selects a queue.
    pub fn select_queue(&mut self, queue: u16) {
        self.queue_sel = queue;
    }

    /// The queues.
    #[must_use]
    pub fn queues(&self) -> &[LiveQueue] {
        &self.queues
    }

    /// The driver chooses a queue's size. One that it cannot have is left out.
    pub fn set_queue_size(&mut self, index: usize, size: u16) {
        if let Some(queue) = self.queues.get_mut(index)
            && (1..=queue.max_size()).contains(&size)
        {
            queue.set_size(size.into());
        }
    }

    /// The driver has put a queue in place and enables it.
    pub fn enable_queue(&mut self, index: usize, place: Place) {
        if let Some(queue) = self.queues.get_mut(index)
            && !queue.is_running()
        {
            queue.set_place(place);
        }
        self.start_late(index);
    }

    /// A legacy driver chooses the alignment of a queue's used ring, in bytes, where it has a choice (mmio).
    pub fn set_queue_align(&mut self, index: usize, align: u32) {
        if let Some(queue) = self.queues.get_mut(index)
            && !queue.is_running()
        {
            queue.set_align(align);
        }
    }

    /// A legacy driver puts a queue in place: its descriptors, with the others behind (virtio 1.3 §2.7.2).
    pub fn place_legacy_queue(&mut self, index: usize, desc: u64) {
        if let Some(queue) = self.queues.get_mut(index)
            && !queue.is_running()
        {
            queue.set_legacy_place(desc);
        }
        self.start_late(index);
    }

    /// The driver takes a queue back, whatever is in it (`RING_RESET`; legacy: address 0).
    pub fn reset_queue(&mut self, index: usize) {
        if let Some(queue) = self.queues.get_mut(index) {
            queue.reset();
        }
    }

    /// The configuration space.
    #[must_use]
    pub fn config(&self) -> Vec<u8> {
        self.device.config(&self.negotiated())
    }

    /// Reads of the configuration space; what is behind its end reads as zeros.
    pub fn read_config(&self, offset: usize, data: &mut [u8]) {
        let config = self.config();
        let from = config.get(offset..).unwrap_or_default();
        let (there, behind) = data.split_at_mut(from.len().min(data.len()));
        there.copy_from_slice(from.get(..there.len()).unwrap_or_default());
        behind.fill(0);
    }

    /// The driver writes to the configuration space.
    pub fn write_config(&mut self, offset: usize, data: &[u8]) {
        self.serve(|device, cx| {
            device.write_config(offset, data, cx);
            Ok(())
        });
    }

    /// Changes with each change of the configuration space.
    #[must_use]
    pub fn config_generation(&self) -> u8 {
        self.config_generation
    }

    /// The driver has made chains of a queue available.
    pub fn notify(&mut self, queue: usize) {
        if self.queues.get(queue).is_some_and(LiveQueue::is_running) {
            self.serve(|device, cx| device.notify(queue, cx));
        }
    }

    /// Notifies the device of every queue that runs: after a migration nobody knows what was notified.
    pub fn kick(&mut self) {
        for queue in 0..self.queues.len() {
            self.notify(queue);
        }
    }

    /// Lets the device see what the world outside has for it. Gives whether it did anything.
    pub fn poll(&mut self) -> bool {
        let mut did = false;
        if self.status.has(Status::DRIVER_OK) {
            self.serve(|device, cx| {
                did = device.poll(cx)?;
                Ok(())
            });
        }
        did
    }

    /// Whether only a reset helps the device, and why if that happened here.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        let why = || self.breakage.as_ref().map_or_else(|| "it arrived so".to_owned(), ToString::to_string);
        self.broken.then(why)
    }

    /// Takes the interrupts that are due, and sets the interrupt status: called by the transport, which delivers
    /// them.
    pub fn take_interrupts(&mut self) -> Vec<Interrupt> {
        let due = self.interrupts.take();
        for interrupt in &due {
            self.isr |= match interrupt {
                Interrupt::Queue(_) => ISR_QUEUE,
                Interrupt::Config => ISR_QUEUE | ISR_CONFIG,
            };
        }
        if due.contains(&Interrupt::Config) {
            self.config_generation = self.config_generation.wrapping_add(1);
        }
        due
    }

    /// Lets the device work, unless it is broken.
    pub(super) fn serve(
        &mut self,
        work: impl FnOnce(&mut dyn LiveDevice<M>, &mut Context<'_, M>) -> Result<(), Breakage>,
    ) {
        if self.broken {
            return;
        }
        let (device, mut cx) = self.at_work();
        let done = work(device, &mut cx);
        self.or_break(done);
    }

    /// The device, and what it has while it works.
    pub(super) fn at_work(&mut self) -> (&mut dyn LiveDevice<M>, Context<'_, M>) {
        let negotiated = self.negotiated();
        let Self { device, memory, queues, interrupts, .. } = self;
        (&mut **device, Context { memory, negotiated, queues, interrupts })
    }

    /// Starts every queue that its driver has set up.
    pub(super) fn start_queues(&mut self) -> Result<(), Breakage> {
        let negotiated = self.negotiated();
        for (index, queue) in self.queues.iter_mut().enumerate() {
            queue.start(index, &self.memory, &negotiated)?;
        }
        Ok(())
    }

    /// A queue that is set up while the device runs starts at once.
    fn start_late(&mut self, index: usize) {
        let negotiated = self.negotiated();
        if self.status.has(Status::DRIVER_OK)
            && let Some(queue) = self.queues.get_mut(index)
        {
            let started = queue.start(index, &self.memory, &negotiated);
            self.or_break(started);
        }
    }

    /// A device that its driver broke says so, if the driver knows how to read it, and does nothing more.
    fn or_break(&mut self, done: Result<(), Breakage>) {
        let Err(breakage) = done else { return };
        // The queue says again what broke it.
        if matches!(breakage, Breakage::Ring { error: RingError::Broken, .. }) && self.broken {
            return;
        }
        self.broken = true;
        self.breakage = Some(breakage);
        // What was taken and made no sense is in nobody's hands: the queues stop without it.
        self.queues.iter_mut().filter_map(|queue| queue.running.as_mut()).for_each(RunningQueue::break_off);
        if self.features.has(Features::VERSION_1) {
            self.status = Status(self.status.0 | Status::DEVICE_NEEDS_RESET);
            self.interrupts.raise(Interrupt::Config);
        }
    }
}
