//! Finishing what a recorded QEMU guest had in flight, between two machines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may panic, and run on 64 bits"
)]

mod common;

use virtio::device::DeviceState;
use virtio::device::blk::{self, BlkRequest, Served};
use virtio::device::disk::{Disk, MemoryDisk};
use virtio::live::FinishError;
use virtio::loaded::{Loaded, VirtioState};
use virtio::memory::DeviceMemory;
use virtio::ring::Ram;
use virtio::section::{load_section, save_section};
use virtio::shape::Shape;
use virtio::transport::{Pci, TransportState};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmstate::{Reader, Writer};

use common::{Fixture, fixture};

/// What the guest is about to write.
const DATA: u8 = 0xd5;

/// The block device of a recorded guest that has a request in flight, and the guest's memory.
struct Recorded {
    loaded: Loaded,
    shape: Shape,
    version: u32,
    memory: GuestMemoryMmap<()>,
    /// The queue of the request in flight.
    queue: usize,
    /// Guest address of the request's header, and where its data is on the disk: sector and bytes.
    header: u64,
    place: (u64, u64),
}

impl Recorded {
    fn open(name: &str) -> Self {
        let Fixture { source, stream, guest, .. } = fixture(name);
        let (section, device) = guest
            .devices(&stream)
            .find(|(_, device)| !requests(&device.loaded.as_ref().unwrap().state).is_empty())
            .unwrap();
        let ram = stream.ram.as_ref().unwrap();
        let layout = guest.layout.as_ref().unwrap();
        let ranges = layout.regions().iter().map(|region| (GuestAddress(region.gpa), region.length as usize));
        let memory = GuestMemoryMmap::<()>::from_ranges(&ranges.collect::<Vec<_>>()).unwrap();
        let mut page = vec![0; ram.page_size as usize];
        for region in layout.regions() {
            for offset in (0..region.length).step_by(page.len()) {
                ram.read(&source, region.block, region.offset + offset, &mut page).unwrap();
                memory.write_slice(&page, GuestAddress(region.gpa + offset)).unwrap();
            }
        }

        let loaded = device.loaded.as_ref().unwrap().clone();
        let BlkRequest { queue, element } = &requests(&loaded.state)[0];
        let queue = queue.unwrap_or(0) as usize;
        let (header, data) = (element.out_sg[0].addr, &element.out_sg[1]);
        // The data of a recorded guest is blank: it gets some, and a header if that is blank too.
        memory.write_slice(&vec![DATA; data.len as usize], GuestAddress(data.addr)).unwrap();
        let sector: u64 = match loaded.endianness {
            virtio::core::Endianness::Little => memory.read_obj::<u64>(GuestAddress(header + 8)).unwrap(),
            virtio::core::Endianness::Big => u64::from_be(memory.read_obj(GuestAddress(header + 8)).unwrap()),
        };
        let place = (sector, data.len);
        Self { loaded, shape: device.shape.unwrap(), version: section.version, memory, queue, header, place }
    }

    fn disk(&self) -> MemoryDisk {
        let capacity = self.loaded.state.core.config[..8].try_into().unwrap();
        MemoryDisk::new(self.loaded.endianness.u64(capacity))
    }

    fn finish(&self, disk: &MemoryDisk) -> Result<(VirtioState, Served), FinishError> {
        blk::finish(self.loaded.clone(), self.shape, Box::new(disk.clone()), self.memory.clone())
    }

    /// Has the request be of another type.
    fn set_type(&self, kind: u32) {
        self.memory.write_slice(&self.loaded.endianness.u32_bytes(kind), GuestAddress(self.header)).unwrap();
    }

    /// Has the driver mask the queue's vector, which is this.
    fn mask(&mut self) -> u16 {
        let TransportState::Pci(pci) = &mut self.loaded.state.transport else { panic!("PCI") };
        let msix = pci.msix.as_mut().unwrap();
        let vector = msix.queue_vectors[self.queue];
        msix.table[usize::from(vector)].control |= 1;
        vector
    }

    /// Has the driver make the request in flight available so many times more; gives their first descriptors.
    fn make_available(&self, count: u16) -> Vec<u16> {
        let order = self.loaded.endianness;
        let ring = &self.loaded.rings[self.queue];
        let element = &requests(&self.loaded.state)[0].element;
        let buffers: Vec<_> =
            element.out_sg.iter().map(|b| (b, 0)).chain(element.in_sg.iter().map(|b| (b, 2))).collect();
        let put = |at: u64, bytes: &[u8]| self.memory.write_slice(bytes, GuestAddress(at)).unwrap();
        let mut heads = Vec::new();
        for number in 0..count {
            // From the table's end on, where no request of the guest is.
            let first = ring.size as u16 - (number + 1) * buffers.len() as u16;
            for ((buffer, write), index) in buffers.iter().zip(first..) {
                let is_last = usize::from(index - first) + 1 == buffers.len();
                let at = ring.desc + 16 * u64::from(index);
                put(at, &order.u64_bytes(buffer.addr));
                put(at + 8, &order.u32_bytes(buffer.len as u32));
                put(at + 12, &order.u16_bytes(write | u16::from(!is_last)));
                put(at + 14, &order.u16_bytes(index + 1));
            }
            let idx = ring.avail_idx.unwrap().wrapping_add(number);
            put(ring.avail + 4 + 2 * (u64::from(idx) % u64::from(ring.size)), &order.u16_bytes(first));
            put(ring.avail + 2, &order.u16_bytes(idx.wrapping_add(1)));
            heads.push(first);
        }
        heads
    }

    /// Whether the disk has the data.
    fn is_on(&self, disk: &MemoryDisk) -> bool {
        let (sector, bytes) = self.place;
        let mut data = vec![0; bytes as usize];
        disk.clone().read(sector * 512, &mut data).unwrap();
        data.iter().all(|&byte| byte == DATA)
    }

    /// What QEMU would load.
    fn reload(&self, state: &VirtioState) -> Loaded {
        let mut out = Writer::new();
        save_section(state, &mut out);
        let guest = Ram(&self.memory);
        let body = Reader::new(out.as_bytes(), 0);
        load_section(&self.shape, self.version, &DeviceMemory::direct(&guest), &body).unwrap()
    }
}

fn pci(state: &VirtioState) -> &Pci {
    match &state.transport {
        TransportState::Pci(pci) => pci,
        _ => panic!("PCI"),
    }
}

fn requests(state: &VirtioState) -> &[BlkRequest] {
    match &state.device {
        DeviceState::Blk(blk) => &blk.requests.0,
        _ => &[],
    }
}

#[test]
fn a_write_that_was_stuck_is_done_and_its_driver_hears_of_it() {
    for name in ["x86-q35-blk-ioerr-q10.0", "x86-q35-blk-ioerr-q11.1"] {
        let mut recorded = Recorded::open(name);
        recorded.set_type(1);
        let vector = recorded.mask();
        let disk = recorded.disk();
        let (state, served) = recorded.finish(&disk).unwrap();
        assert_eq!(served.queues[&0]["write"], 1, "{name}: {served:?}");
        assert_eq!((served.left, served.again, &served.failed), (0, 0, &None));
        assert!(recorded.is_on(&disk), "{name}: the disk has what the guest wrote");

        let after = recorded.reload(&state);
        let before = &recorded.loaded;
        assert!(after.findings.iter().next().is_none(), "{name}: {:?}", after.findings);
        assert_eq!(requests(&after.state).len(), 0);
        let used = |loaded: &Loaded| loaded.rings[0].used_idx.unwrap();
        assert_eq!(used(&after), used(before).wrapping_add(1));
        assert_eq!(after.state.core.isr & 1, 1);
        assert_eq!(after.state.core.config, before.state.core.config, "what was not served stays");
        let pba = pci(&after.state).msix.as_ref().unwrap().pba.clone();
        assert_eq!(pba[usize::from(vector / 8)], 1 << (vector % 8), "{name}: this vector alone is pending");
        assert_eq!(pci(&after.state).config, pci(&before.state).config);
    }
}

#[test]
fn where_no_interrupt_is_kept_the_last_request_stays_in_flight() {
    for name in ["x86-q35-blk-ioerr-q10.0", "s390x-ccw-ioerr-q10.0"] {
        let recorded = Recorded::open(name);
        recorded.set_type(1);
        let sent = recorded.make_available(2);
        let disk = recorded.disk();
        let (state, served) = recorded.finish(&disk).unwrap();
        let queue = recorded.queue;
        assert_eq!((served.queues[&queue]["write"], served.left, served.again), (3, 0, 1), "{name}");
        assert!(recorded.is_on(&disk), "{name}: also the last one is done");

        let after = recorded.reload(&state);
        let (was, is) = (&recorded.loaded.rings[queue], &after.rings[queue]);
        assert!(after.findings.iter().next().is_none(), "{name}: {:?}", after.findings);
        assert_eq!(is.last_avail_idx, was.avail_idx.unwrap().wrapping_add(2), "{name}: both were taken");
        assert_eq!(is.used_idx.unwrap(), was.used_idx.unwrap().wrapping_add(2));
        assert_eq!(is.inuse, Some(1));
        let [last] = requests(&after.state) else { panic!("{name}: one in flight") };
        assert_eq!(last.element.index, u32::from(sent[1]), "{name}: the one that was sent last");
    }
}

#[test]
fn what_only_the_device_itself_can_answer_stays_in_flight() {
    let recorded = Recorded::open("x86-q35-blk-ioerr-q10.0");
    // GET_ID asks for the serial number; 99 is nothing known.
    for kind in [8, 99] {
        recorded.set_type(kind);
        let (state, served) = recorded.finish(&recorded.disk()).unwrap();
        assert_eq!((served.is_nothing(), served.left), (true, 1));
        assert_eq!(state, recorded.loaded.state, "the device is as it was");
    }
}

#[test]
fn the_disk_has_to_be_the_device_s() {
    let recorded = Recorded::open("x86-q35-blk-ioerr-q10.0");
    let sectors = recorded.disk().sectors();
    let error = recorded.finish(&MemoryDisk::new(sectors - 1)).unwrap_err().to_string();
    let expected =
        format!("its disk has {sectors} sectors of 512 bytes, the one that was given has {}", sectors - 1);
    assert_eq!(error, expected);
}
