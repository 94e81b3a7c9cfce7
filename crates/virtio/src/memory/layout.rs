//! Where RAM lies in the guest's physical address space.
//!
//! A stream carries RAM by block name and offset; the addresses are a property of the machine type, and
//! [`Layout::for_machine`] knows those of QEMU's. A virtio-mem device says the address of its memory in
//! its own section: [`Layout::add_virtio_mem`] puts it in, and [`Layout::add`] anything else.
//!
//! What cannot be known are options that move RAM and leave no trace in the stream: a machine that was
//! started with `max-ram-below-4g` is laid out otherwise.

use vmstate::ram::Ram;

use super::MemoryError;
use super::board::{Board, MainRam, unknown};

/// A piece of a RAM block, and where the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Guest-physical address of its first byte.
    pub gpa: u64,
    /// The block it is a piece of, counted in the order of the stream's block list.
    pub block: usize,
    /// Bytes from the start of the block to its first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// The guest's RAM by guest-physical address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// By address, without overlap.
    regions: Vec<Region>,
    assumption: Option<String>,
}

impl Layout {
    /// Lays out the main RAM of a machine type, given the RAM of a stream.
    ///
    /// # Errors
    /// As [`for_machine`](Self::for_machine).
    pub fn for_ram(machine: &str, ram: &Ram) -> Result<Self, MemoryError> {
        Self::for_machine(machine, &named(ram))
    }

    /// Lays out the main RAM of a machine type, given the blocks of a stream in their order: name and
    /// bytes.
    ///
    /// # Errors
    /// [`MemoryError::Unknown`] if the machine type's layout is not known, or it cannot be told which
    /// blocks are its main RAM.
    pub fn for_machine(machine: &str, blocks: &[(&str, u64)]) -> Result<Self, MemoryError> {
        let main = MainRam::find(machine, blocks)?;
        let mut layout = Self { regions: Vec::new(), assumption: main.assumption };
        let with_bytes = main.blocks.iter().filter_map(|&block| Some((block, blocks.get(block)?.1)));
        layout.place(main.board, with_bytes)?;
        Ok(layout)
    }

    /// Adds the memory of a virtio-mem device: its path, and the fields `addr` and `region_size` of its
    /// section. What the guest has not plugged of it is not in the stream.
    ///
    /// # Errors
    /// [`MemoryError::Unknown`] if no block of that size is the device's, or as [`add`](Self::add).
    pub fn add_virtio_mem(
        &mut self,
        ram: &Ram,
        path: &str,
        addr: u64,
        region_size: u64,
    ) -> Result<(), MemoryError> {
        let block = virtio_mem_block(&named(ram), path, region_size);
        let Some(block) = block else {
            return Err(unknown(format!(
                "the stream has no block of {region_size:#x} bytes of the device {path}"
            )));
        };
        self.add(Region { gpa: addr, block, offset: 0, length: region_size })
    }

    /// Adds a region.
    ///
    /// # Errors
    /// [`MemoryError::Unknown`] if it does not end within the address space, or something is there.
    pub fn add(&mut self, region: Region) -> Result<(), MemoryError> {
        if region.length == 0 {
            return Ok(());
        }
        let ends = [region.gpa, region.offset].map(|start| start.checked_add(region.length));
        let [Some(end), Some(_)] = ends else {
            return Err(unknown(format!("{:#x} bytes at {:#x} end nowhere", region.length, region.gpa)));
        };
        let at = self.regions.partition_point(|other| other.gpa < region.gpa);
        let (before, after) = self.regions.split_at(at);
        let overlaps = before.last().is_some_and(|other| other.gpa + other.length > region.gpa)
            || after.first().is_some_and(|other| end > other.gpa);
        if overlaps {
            return Err(unknown(format!("two pieces of memory overlap at {:#x}", region.gpa)));
        }
        self.regions.insert(at, region);
        Ok(())
    }

    /// The memory at an address: what is left of its region from there on.
    #[must_use]
    pub fn at(&self, gpa: u64) -> Option<Region> {
        let after = self.regions.partition_point(|region| region.gpa <= gpa);
        let region = self.regions.get(after.checked_sub(1)?)?;
        let skipped = gpa - region.gpa;
        (skipped < region.length).then(|| Region {
            gpa,
            offset: region.offset + skipped,
            length: region.length - skipped,
            ..*region
        })
    }

    /// All regions, by address.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// What had to be assumed since no block has the name that the machine type gives its main RAM.
    #[must_use]
    pub fn assumption(&self) -> Option<&str> {
        self.assumption.as_deref()
    }

    /// Lays blocks end to end where the board has its RAM.
    fn place(
        &mut self,
        board: &Board,
        main: impl Iterator<Item = (usize, u64)> + Clone,
    ) -> Result<(), MemoryError> {
        let size = main.clone().try_fold(0_u64, |sum, (_, length)| sum.checked_add(length));
        let Some(size) = size else {
            return Err(unknown("RAM is larger than the address space".to_owned()));
        };
        let split = board.split.as_ref().filter(|split| size >= split.from);
        let (low, high) = split.map_or((size, 0), |split| (split.low, split.high));
        if let Some(split) = split
            && high.saturating_add(size - low) > split.limit
        {
            let reason = "depending on the processor, RAM above 4 GiB begins there or at 1 TiB";
            return Err(unknown(format!("{size:#x} bytes of RAM reach {:#x}: {reason}", split.limit)));
        }
        let mut placed = 0; // bytes of RAM before this block
        for (block, length) in main {
            let in_low = low.saturating_sub(placed).min(length);
            let gpa = board.base.saturating_add(placed);
            self.add(Region { gpa, block, offset: 0, length: in_low })?;
            let gpa = high.saturating_add(placed.saturating_sub(low));
            self.add(Region { gpa, block, offset: in_low, length: length - in_low })?;
            placed += length;
        }
        Ok(())
    }
}

/// Name and bytes of each block.
fn named(ram: &Ram) -> Vec<(&str, u64)> {
    ram.blocks.iter().map(|block| (block.name.as_str(), block.bytes)).collect()
}

/// The block of a virtio-mem device: it has the device's path before the backend's name.
fn virtio_mem_block(blocks: &[(&str, u64)], path: &str, region_size: u64) -> Option<usize> {
    let is_of_device = |name: &str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    blocks.iter().position(|&(name, bytes)| bytes == region_size && is_of_device(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const ROMS: [(&str, u64); 3] = [
        ("pc.bios", 0x40000),
        ("0000:00:02.0/virtio-net-pci.rom", 0x40000),
        ("/rom@etc/acpi/tables", 0x20000),
    ];

    fn with_roms<'a>(ram: &[(&'a str, u64)]) -> Vec<(&'a str, u64)> {
        [ram, &ROMS].concat()
    }

    /// Address, block, offset, length.
    fn regions(machine: &str, blocks: &[(&str, u64)]) -> Vec<(u64, usize, u64, u64)> {
        let layout = Layout::for_machine(machine, blocks).unwrap();
        layout.regions().iter().map(|r| (r.gpa, r.block, r.offset, r.length)).collect()
    }

    fn reason(machine: &str, blocks: &[(&str, u64)]) -> String {
        Layout::for_machine(machine, blocks).unwrap_err().to_string()
    }

    #[test]
    fn small_ram_is_in_one_piece() {
        for (machine, block, base) in [
            ("pc-i440fx-7.2", "pc.ram", 0),
            ("pc-q35-rhel9.4.0", "pc.ram", 0),
            ("microvm", "microvm.ram", 0),
            ("virt-10.0", "mach-virt.ram", 0x4000_0000),
            ("virt", "riscv_virt_board.ram", 0x8000_0000),
            ("virt", "loongarch.ram", 0),
            ("s390-ccw-virtio-11.1", "s390.ram", 0),
            ("pseries-5.2", "ppc_spapr.ram", 0),
        ] {
            let blocks = with_roms(&[(block, 0x300_0000)]);
            assert_eq!(regions(machine, &blocks), [(base, 0, 0, 0x300_0000)], "{machine}");
        }
    }

    #[test]
    fn large_ram_is_split() {
        for (machine, block, from, low, high) in [
            ("pc-i440fx-10.0", "pc.ram", 0xe000_0000, 0xc000_0000, 0x1_0000_0000),
            ("pc-q35-10.0", "pc.ram", 0xb000_0000, 0x8000_0000, 0x1_0000_0000),
            ("microvm", "microvm.ram", 0xc000_1000, 0xc000_0000, 0x1_0000_0000),
            ("virt", "loongarch.ram", 0x1000_1000, 0x1000_0000, 0x8000_0000),
        ] {
            let split = [(0, 0, 0, low), (high, 0, low, from - low)];
            assert_eq!(regions(machine, &[(block, from)]), split, "{machine}");
            let below = regions(machine, &[(block, from - 0x1000)]);
            assert_eq!(below, [(0, 0, 0, from - 0x1000)], "{machine}");
        }
    }

    #[test]
    fn finds_memory_on_both_sides_of_the_hole() {
        let layout = Layout::for_machine("pc-q35-10.0", &[("pc.ram", 4 * GIB)]).unwrap();
        assert_eq!(layout.at(0x7fff_f000).unwrap().length, 0x1000);
        assert_eq!(layout.at(0x8000_0000), None);
        assert_eq!(layout.at(0xffff_ffff), None);
        let high = layout.at(0x1_0000_1234).unwrap();
        assert_eq!((high.offset, high.length), (0x8000_1234, 2 * GIB - 0x1234));
        assert_eq!(layout.at(6 * GIB), None);
    }

    #[test]
    fn backends_of_the_users_own() {
        let blocks = with_roms(&[("/objects/ram0", 0x800_0000)]);
        let layout = Layout::for_machine("pc-q35-10.0", &blocks).unwrap();
        assert_eq!(layout.regions().len(), 1);
        assert!(layout.assumption().unwrap().contains("/objects/ram0"));

        let blocks = with_roms(&[("memdimm0", 0x800_0000), ("ram0", 0x400_0000)]);
        assert!(reason("pc-q35-10.0", &blocks).contains("which of `memdimm0`, `ram0` is RAM"));

        // With a block of the usual name there is nothing to assume.
        let blocks = with_roms(&[("memdimm0", 0x800_0000), ("pc.ram", 0x400_0000)]);
        let layout = Layout::for_machine("pc-q35-10.0", &blocks).unwrap();
        assert_eq!((layout.regions()[0].block, layout.assumption()), (1, None));
    }

    #[test]
    fn numa_nodes_lie_in_the_order_of_their_numbers() {
        // The stream has blocks by size.
        let blocks = with_roms(&[("/objects/ram-node10", 3 * GIB), ("/objects/ram-node2", GIB)]);
        let expected = [(0, 1, 0, GIB), (GIB, 0, 0, GIB), (4 * GIB, 0, GIB, 2 * GIB)];
        assert_eq!(regions("pc-q35-10.0", &blocks), expected);
    }

    #[test]
    fn says_what_is_not_known() {
        assert!(reason("raspi3b", &[("ram", GIB)]).contains("machine type raspi3b is not known"));
        assert!(reason("virt", &[("ram0", GIB)]).contains("several have that name"));
        assert!(reason("pc-q35-10.0", &ROMS).contains("none that could be RAM"));
        assert!(reason("pc-q35-10.0", &[("pc.ram", 1024 * GIB)]).contains("1 TiB"));
        assert!(reason("pc-q35-10.0", &[("ram-node0", u64::MAX), ("ram-node1", 2)]).contains("larger than"));
        assert!(reason("virt-10.0", &[("mach-virt.ram", u64::MAX)]).contains("end nowhere"));
    }

    #[test]
    fn adds_memory_where_nothing_is() {
        let mut layout = Layout::for_machine("pc-q35-10.0", &[("pc.ram", GIB), ("dimm", GIB)]).unwrap();
        let dimm = Region { gpa: 4 * GIB, block: 1, offset: 0, length: GIB };
        layout.add(dimm).unwrap();
        assert_eq!(layout.at(4 * GIB), Some(dimm));
        for gpa in [0, GIB - 1, 4 * GIB - 1, 4 * GIB, 5 * GIB - 1, u64::MAX] {
            layout.add(Region { gpa, block: 1, offset: 0, length: 2 }).unwrap_err();
        }
        layout.add(Region { gpa: 0, block: 1, offset: 0, length: 0 }).unwrap();
        assert_eq!(layout.regions().len(), 2);
    }

    #[test]
    fn a_virtio_mem_has_a_block_of_its_name_and_size() {
        let blocks = [("0000:00:01.0:00.0/vm0", GIB), ("0000:00:01.0/vm1", GIB), ("pc.ram", GIB)];
        assert_eq!(virtio_mem_block(&blocks, "0000:00:01.0", GIB), Some(1));
        assert_eq!(virtio_mem_block(&blocks, "0000:00:01.0:00.0", GIB), Some(0));
        assert_eq!(virtio_mem_block(&blocks, "0000:00:01.0", 2 * GIB), None);
    }
}
