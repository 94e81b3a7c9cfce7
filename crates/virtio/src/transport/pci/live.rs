//! A device on a PCI bus, as it runs (virtio 1.3 §4.1).

use vm_memory::GuestMemory;

use super::config::{BAR, COMMAND, STATUS};
use super::layout::{
    COMMAND_INTX_DISABLE, COMMAND_MEMORY, COMMON, CONFIG_ACCESS, DEVICE, ISR, Layout, MSIX, MSIX_BAR,
    MSIX_ENABLE, MSIX_MASK_ALL, NOTIFY, NOTIFY_MULTIPLIER, STATUS_INTERRUPT, STRUCTURE, STRUCTURE_BAR,
};
use super::{ConfigImage, Msix, NO_VECTOR, PCI_DEVICE_VERSION, Pci, PciExtraState, PciModernState};
use crate::core::{Endianness, Features};
use crate::live::{
    Interrupt, LiveCore, LiveDevice, LiveTransport, Message, ResumeError, Signals, StopError, Window,
};
use crate::loaded::{StoppedDevice, VirtioState};
use crate::ring::NotificationData;
use crate::transport::registers::fill;
use crate::transport::{ExtraState, Transport, TransportKind, TransportState};

/// The most vectors that a device has.
const MOST_VECTORS: u16 = 2048;

/// A running modern device on a PCI bus.
#[derive(Debug)]
pub struct LivePci<M> {
    pub(super) core: LiveCore<M>,
    layout: Layout,
    /// The configuration space as it is.
    config: Vec<u8>,
    pub(super) msix: Option<Msix>,
    /// What the driver wrote to the common configuration.
    pub(super) modern: PciModernState,
    /// Messages that were due when a vector was unmasked.
    messages: Vec<Message>,
}

impl<M: GuestMemory + Send> LivePci<M> {
    /// A device that offers these features beside those of its type, with a vector for each queue and one for its
    /// configuration.
    #[must_use]
    pub fn new(device: Box<dyn LiveDevice<M>>, memory: M, reserved: Features) -> Self {
        let vectors = u16::try_from(device.queue_sizes().len() + 1).unwrap_or(MOST_VECTORS);
        Self::with_vectors(device, memory, reserved, vectors)
    }

    /// A device with so many vectors; with none it has no MSI-X, and interrupts by its line.
    #[must_use]
    pub fn with_vectors(device: Box<dyn LiveDevice<M>>, memory: M, reserved: Features, vectors: u16) -> Self {
        let reserved = reserved | Features::from_iter([Features::VERSION_1]);
        let vectors = vectors.min(MOST_VECTORS);
        let layout = Layout::new(device.device_type(), vectors);
        let core = LiveCore::new(device, memory, reserved, Endianness::Little);
        let queues = core.queues().len();
        Self {
            core,
            config: layout.config.clone(),
            layout,
            msix: (vectors > 0).then(|| Msix::blank(vectors.into(), queues)),
            modern: PciModernState::default(),
            messages: Vec::new(),
        }
    }

    /// The vector of a queue.
    pub(super) fn queue_vector(&self, index: usize) -> u16 {
        let vectors = self.msix.as_ref().map(|msix| msix.queue_vectors.as_slice()).unwrap_or_default();
        vectors.get(index).copied().unwrap_or(NO_VECTOR)
    }

    /// The device was reset: nothing has a vector any more. The table is the function's, and stays.
    pub(super) fn reset_vectors(&mut self) {
        if let Some(msix) = &mut self.msix {
            msix.config_vector = NO_VECTOR;
            msix.queue_vectors.fill(NO_VECTOR);
        }
    }

    fn config_u16(&self, at: usize) -> u16 {
        self.config.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u16::from_le_bytes)
    }

    fn config_u32(&self, at: usize) -> u32 {
        self.config.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_le_bytes)
    }

    /// The upper byte of MSI-X's message control.
    fn msix_control(&self) -> u8 {
        self.config.get(MSIX + 3).copied().filter(|_| self.msix.is_some()).unwrap_or_default()
    }

    fn masks_all(&self) -> bool {
        self.msix_control() & MSIX_MASK_ALL != 0
    }

    /// Where the driver has put a BAR.
    fn bar(&self, bar: u8) -> u64 {
        let at = BAR + 4 * usize::from(bar);
        let low = u64::from(self.config_u32(at) & !0xf);
        if bar == STRUCTURE_BAR { low | u64::from(self.config_u32(at + 4)) << 32 } else { low }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let had_mask = self.masks_all();
        for (index, &byte) in data.iter().enumerate() {
            let at = at.saturating_add(index);
            if let (Some(place), Some(&mask)) = (self.config.get_mut(at), self.layout.writable.get(at)) {
                *place = *place & !mask | byte & mask;
            }
        }
        if had_mask && !self.masks_all() {
            self.unmasked();
        }
        if at == CONFIG_ACCESS + 16
            && let Some((bar, offset, length)) = self.access()
        {
            self.write(Window::Bar(bar), offset, data.get(..length).unwrap_or(data));
        }
    }

    fn read_config(&mut self, offset: u64, data: &mut [u8]) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        if at == CONFIG_ACCESS + 16
            && let Some((bar, offset, length)) = self.access()
        {
            let length = length.min(data.len());
            return self.read(Window::Bar(bar), offset, data.get_mut(..length).unwrap_or_default());
        }
        let from = self.config.get(at..).unwrap_or_default();
        data.iter_mut().zip(from.iter().chain(std::iter::repeat(&0))).for_each(|(to, from)| *to = *from);
    }

    /// What the window in configuration space looks at (§4.1.4.9): BAR, offset and width.
    fn access(&self) -> Option<(u8, u64, usize)> {
        let bar = *self.config.get(CONFIG_ACCESS + 4)?;
        let length = usize::try_from(self.config_u32(CONFIG_ACCESS + 12)).ok()?;
        let offset = u64::from(self.config_u32(CONFIG_ACCESS + 8));
        let is_one = matches!(length, 1 | 2 | 4) && offset % length as u64 == 0;
        is_one.then_some((bar, offset, length))
    }

    /// Vectors may have been unmasked.
    fn unmasked(&mut self) {
        let mask_all = self.masks_all();
        if let Some(msix) = &mut self.msix {
            self.messages.extend(msix.unmasked(mask_all));
        }
    }

    fn read_msix(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        let Some(msix) = &self.msix else { return };
        match offset.checked_sub(self.layout.pba) {
            Some(offset) => {
                let from = usize::try_from(offset).ok().and_then(|offset| msix.pba.get(offset..));
                let from = from.unwrap_or_default();
                data.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            None => msix.read_table(usize::try_from(offset).unwrap_or(usize::MAX), data),
        }
    }

    fn write_msix(&mut self, offset: u64, data: &[u8]) {
        if let Some(msix) = &mut self.msix
            && offset < self.layout.pba
        {
            msix.write_table(usize::try_from(offset).unwrap_or(usize::MAX), data);
            self.unmasked();
        }
    }

    fn read_structure(&mut self, offset: u64, data: &mut [u8]) {
        let inside = offset % STRUCTURE;
        match offset - inside {
            COMMON => fill(data, self.read_common(inside)),
            ISR if inside == 0 => {
                fill(data, self.core.isr().into());
                self.core.acknowledge(u8::MAX);
            }
            DEVICE => self.core.read_config(usize::try_from(inside).unwrap_or(usize::MAX), data),
            _ => data.fill(0),
        }
    }

    fn write_structure(&mut self, offset: u64, data: &[u8]) {
        let inside = offset % STRUCTURE;
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        let value = u32::from_le_bytes(bytes);
        match offset - inside {
            COMMON => self.write_common(inside, value),
            DEVICE => self.core.write_config(usize::try_from(inside).unwrap_or(usize::MAX), data),
            NOTIFY => {
                let has_data = self.core.negotiated().features.has(Features::NOTIFICATION_DATA);
                let queue = if has_data && data.len() == 4 {
                    NotificationData::from_bits(value).queue.into()
                } else {
                    inside / u64::from(NOTIFY_MULTIPLIER)
                };
                self.core.notify(usize::try_from(queue).unwrap_or(usize::MAX));
            }
            _ => {}
        }
    }

    /// Delivers what is due: as messages if MSI-X is on, else by the line.
    fn deliver(&mut self) {
        let due = self.core.take_interrupts();
        if self.msix_control() & MSIX_ENABLE == 0 {
            return;
        }
        let mask_all = self.masks_all();
        let Some(msix) = &mut self.msix else { return };
        for interrupt in due {
            let vector = match interrupt {
                Interrupt::Queue(index) => msix.queue_vectors.get(index).copied().unwrap_or(NO_VECTOR),
                Interrupt::Config => msix.config_vector,
            };
            self.messages.extend(msix.raise(vector, mask_all));
        }
    }

    /// The level of the interrupt line.
    fn line(&self) -> bool {
        self.core.isr() != 0 && self.msix_control() & MSIX_ENABLE == 0
    }

    /// Whether the configuration space of a device elsewhere is one that this could have.
    fn check_config(&self, found: &[u8]) -> Result<(), ResumeError> {
        if found.len() != self.config.len() {
            let (found, expected) = (found.len(), self.config.len());
            let message = format!("the configuration space has {found} bytes, expected {expected}");
            return Err(ResumeError::Device(message));
        }
        let mine = self.layout.config.iter().zip(&self.layout.writable).zip(found);
        for (at, ((&mine, &writable), &found)) in mine.enumerate() {
            // The device itself changes this bit.
            let own = if at == STATUS { STATUS_INTERRUPT } else { 0 };
            let fixed = !(writable | own);
            if mine & fixed != found & fixed {
                return Err(ResumeError::Device(format!(
                    "byte {at:#04x} of the configuration space is {found:#04x}, expected {mine:#04x} in the bits {fixed:#04x}"
                )));
            }
        }
        Ok(())
    }

    fn take_up(&mut self, pci: Pci, extra: Option<ExtraState>) -> Result<(), ResumeError> {
        self.check_config(pci.config.as_bytes())?;
        let vectors = |msix: &Option<Msix>| msix.as_ref().map_or(0, |msix| msix.table.len());
        let (found, expected) = (vectors(&pci.msix), vectors(&self.msix));
        if found != expected {
            return Err(ResumeError::Device(format!("the device has {found} vectors, expected {expected}")));
        }
        self.config = pci.config.as_bytes().to_vec();
        self.msix = pci.msix.map(|mut msix| {
            msix.queue_vectors.resize(self.core.queues().len(), NO_VECTOR);
            msix
        });
        self.messages.clear();
        self.modern = match extra {
            Some(ExtraState::Pci(extra)) => extra.modern_state.unwrap_or_default(),
            _ => PciModernState::default(),
        };
        Ok(())
    }
}

impl<M: GuestMemory + Send> LiveTransport<M> for LivePci<M> {
    fn kind(&self) -> TransportKind {
        TransportKind::Pci
    }

    fn core(&self) -> &LiveCore<M> {
        &self.core
    }

    fn core_mut(&mut self) -> &mut LiveCore<M> {
        &mut self.core
    }

    fn decode(&self, address: u64) -> Option<(Window, u64)> {
        if self.config_u16(COMMAND) & COMMAND_MEMORY == 0 {
            return None;
        }
        [MSIX_BAR, STRUCTURE_BAR].into_iter().find_map(|bar| {
            let base = self.bar(bar);
            let offset = address.checked_sub(base).filter(|_| base != 0)?;
            (offset < self.layout.bar_bytes(bar)).then_some((Window::Bar(bar), offset))
        })
    }

    fn read(&mut self, window: Window, offset: u64, data: &mut [u8]) {
        match window {
            Window::Config => self.read_config(offset, data),
            Window::Bar(MSIX_BAR) => self.read_msix(offset, data),
            Window::Bar(STRUCTURE_BAR) => self.read_structure(offset, data),
            Window::Bar(_) | Window::Registers => data.fill(0),
        }
    }

    fn write(&mut self, window: Window, offset: u64, data: &[u8]) {
        match window {
            Window::Config => self.write_config(offset, data),
            Window::Bar(MSIX_BAR) => self.write_msix(offset, data),
            Window::Bar(STRUCTURE_BAR) => self.write_structure(offset, data),
            Window::Bar(_) | Window::Registers => {}
        }
    }

    fn signals(&mut self) -> Signals {
        self.deliver();
        let is_disabled = self.config_u16(COMMAND) & COMMAND_INTX_DISABLE != 0;
        let level = self.line();
        if let Some(status) = self.config.get_mut(STATUS) {
            *status = *status & !STATUS_INTERRUPT | if level { STATUS_INTERRUPT } else { 0 };
        }
        Signals { line: level && !is_disabled, messages: std::mem::take(&mut self.messages) }
    }

    fn stop(&mut self) -> Result<VirtioState, StopError> {
        let device = self.core.stop()?;
        self.deliver();
        let pci = Pci {
            version_id: PCI_DEVICE_VERSION,
            config: ConfigImage::of(self.config.clone()),
            irq_state: [self.line().into(), 0, 0, 0],
            msix: self.msix.clone(),
        };
        let extra = PciExtraState { modern_state: Some(self.modern.clone()) };
        let core = self.core.state(pci.ring_layout(), Some(ExtraState::Pci(extra)));
        Ok(VirtioState { transport: TransportState::Pci(pci), core, device })
    }

    fn resume(&mut self, stopped: StoppedDevice) -> Result<(), ResumeError> {
        let (TransportState::Pci(pci), extra) = self.core.resume(stopped)? else {
            self.core.reset();
            let found = "a device on another transport".to_owned();
            return Err(ResumeError::Kind { found, expected: "virtio-pci".to_owned() });
        };
        let taken = self.take_up(pci, extra);
        if taken.is_err() {
            self.core.reset();
        }
        taken
    }
}
