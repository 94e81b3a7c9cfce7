//! What the drivers reach a device through: registers of either transport, and guest memory.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use virtio::core::Features;
use virtio::live::{LiveDevice, LiveTransport, Window};
use virtio::memory::DeviceMemory;
use virtio::ring::Ram;
use virtio::section::{load_section, save_section};
use virtio::transport::{LiveMmio, LivePci};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};
use vmstate::{Reader, Writer};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(crate) type Memory = GuestMemoryMmap<()>;
type Device = Box<dyn LiveTransport<Memory>>;

/// Bytes of guest memory. The first page is never given out: address 0 means that there is none.
const BYTES: u64 = 32 << 20;

thread_local! {
    /// The guest memory of the test that this thread runs.
    static MEMORY: Memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), BYTES as usize)]).unwrap();
    static NEXT: Cell<u64> = const { Cell::new(PAGE_SIZE as u64) };
}

/// Guest memory, as the drivers ask for it. Buffers are copied into it and out of it.
pub(crate) struct GuestRam;

impl GuestRam {
    fn allocate(bytes: usize) -> u64 {
        let at = NEXT.get();
        let next = (at + bytes as u64).next_multiple_of(PAGE_SIZE as u64);
        assert!(next <= BYTES, "a test needs more guest memory");
        NEXT.set(next);
        at
    }

    fn pointer(at: u64) -> NonNull<u8> {
        let pointer = MEMORY.with(|memory| memory.get_host_address(GuestAddress(at)).unwrap());
        NonNull::new(pointer).unwrap()
    }
}

// SAFETY: memory that is given out lies in a mapping that lives as long as the thread, is aligned to a page, was never
// given out before, and is zero: nothing is taken back.
unsafe impl Hal for GuestRam {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let at = Self::allocate(pages * PAGE_SIZE);
        (at, Self::pointer(at))
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(at: PhysAddr, _: usize) -> NonNull<u8> {
        Self::pointer(at)
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        // SAFETY: the driver lends the buffer until it is unshared.
        let bytes = unsafe { buffer.as_ref() };
        let at = Self::allocate(bytes.len());
        MEMORY.with(|memory| memory.write_slice(bytes, GuestAddress(at)).unwrap());
        at
    }

    unsafe fn unshare(at: PhysAddr, mut buffer: NonNull<[u8]>, direction: BufferDirection) {
        if direction != BufferDirection::DriverToDevice {
            // SAFETY: the driver lends the buffer until this returns.
            let bytes = unsafe { buffer.as_mut() };
            MEMORY.with(|memory| memory.read_slice(bytes, GuestAddress(at)).unwrap());
        }
    }
}

/// A device that can be exchanged under its driver.
pub(crate) struct Bench {
    is_pci: bool,
    device: Rc<RefCell<Device>>,
}

fn make(is_pci: bool, device: Box<dyn LiveDevice<Memory>>) -> Device {
    let memory = MEMORY.with(Clone::clone);
    let reserved = Features(1 << Features::INDIRECT_DESC | 1 << Features::EVENT_IDX);
    if is_pci {
        let mut device: Device = Box::new(LivePci::new(device, memory, reserved));
        device.write(Window::Config, 4, &6_u16.to_le_bytes());
        device
    } else {
        Box::new(LiveMmio::new(device, memory, reserved))
    }
}

impl Bench {
    pub(crate) fn new(is_pci: bool, device: Box<dyn LiveDevice<Memory>>) -> Self {
        Self { is_pci, device: Rc::new(RefCell::new(make(is_pci, device))) }
    }

    pub(crate) fn registers(&self) -> Registers {
        Registers { is_pci: self.is_pci, device: Rc::clone(&self.device) }
    }

    /// Lets the device see what the world has for it.
    pub(crate) fn poll(&self) {
        while self.device.borrow_mut().core_mut().poll() {}
    }

    /// Stops the device, saves it, and has another go on in its place.
    pub(crate) fn migrate(&self, device: Box<dyn LiveDevice<Memory>>) {
        let mut place = self.device.borrow_mut();
        let mut out = Writer::new();
        save_section(&place.stop().unwrap(), &mut out);
        *place = make(self.is_pci, device);
        let shape = place.core().shape(place.kind());
        let memory = MEMORY.with(Clone::clone);
        let ram = Ram(&memory);
        let body = Reader::new(out.as_bytes(), 0);
        let loaded = load_section(&shape, shape.device.version, &DeviceMemory::direct(&ram), &body).unwrap();
        place.resume(loaded.accept().unwrap()).unwrap();
        place.core_mut().kick();
    }
}

/// The registers of a device, as the drivers use them.
pub(crate) struct Registers {
    is_pci: bool,
    device: Rc<RefCell<Device>>,
}

impl Registers {
    /// A register by its places on either transport: offset and width on mmio are those of 32 bits.
    fn place(&self, mmio: u64, (pci, bytes): (u64, usize)) -> (Window, u64, usize) {
        if self.is_pci { (Window::Bar(4), pci, bytes) } else { (Window::Registers, mmio, 4) }
    }

    fn get(&self, mmio: u64, pci: (u64, usize)) -> u32 {
        let (window, offset, bytes) = self.place(mmio, pci);
        let mut data = [0; 4];
        self.device.borrow_mut().read(window, offset, &mut data[..bytes]);
        u32::from_le_bytes(data)
    }

    fn set(&self, mmio: u64, pci: (u64, usize), value: u32) {
        let (window, offset, bytes) = self.place(mmio, pci);
        self.device.borrow_mut().write(window, offset, &value.to_le_bytes()[..bytes]);
    }

    fn select(&self, queue: u16) {
        self.set(0x30, (0x16, 2), queue.into());
    }

    fn config(&self) -> (Window, u64) {
        if self.is_pci { (Window::Bar(4), 0x2000) } else { (Window::Registers, 0x100) }
    }
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        u32::from(self.device.borrow().core().device_type().id).try_into().unwrap()
    }

    fn read_device_features(&mut self) -> u64 {
        (0..2).fold(0, |all, half| {
            self.set(0x14, (0x00, 4), half);
            all | u64::from(self.get(0x10, (0x04, 4))) << (32 * half)
        })
    }

    fn write_driver_features(&mut self, features: u64) {
        for half in 0..2 {
            self.set(0x24, (0x08, 4), half);
            self.set(0x20, (0x0c, 4), (features >> (32 * half)) as u32);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        self.get(0x34, (0x18, 2))
    }

    fn notify(&mut self, queue: u16) {
        self.set(0x50, (0x3000 + 4 * u64::from(queue), 2), queue.into());
        let _ = self.device.borrow_mut().signals();
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.get(0x70, (0x14, 1)))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.set(0x70, (0x14, 1), status.bits());
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, desc: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        self.select(queue);
        self.set(0x38, (0x18, 2), size);
        for (mmio, pci, address) in [(0x80, 0x20, desc), (0x90, 0x28, driver), (0xa0, 0x30, device)] {
            self.set(mmio, (pci, 4), address as u32);
            self.set(mmio + 4, (pci + 4, 4), (address >> 32) as u32);
        }
        self.set(0x44, (0x1c, 2), 1);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.select(queue);
        self.set(0xc0, (0x3a, 2), 1);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.get(0x44, (0x1c, 2)) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let reasons = self.get(0x60, (0x1000, 1));
        if !self.is_pci {
            self.set(0x64, (0, 1), reasons);
        }
        InterruptStatus::from_bits_truncate(reasons)
    }

    fn read_config_generation(&self) -> u32 {
        self.get(0xfc, (0x15, 1))
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> virtio_drivers::Result<T> {
        let (window, base) = self.config();
        let mut value = T::new_zeroed();
        self.device.borrow_mut().read(window, base + offset as u64, value.as_mut_bytes());
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> virtio_drivers::Result<()> {
        let (window, base) = self.config();
        self.device.borrow_mut().write(window, base + offset as u64, value.as_bytes());
        Ok(())
    }
}
