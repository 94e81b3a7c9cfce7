//! Where each machine type puts its RAM: the one table of it.

use super::MemoryError;

/// Where a machine type puts its main RAM.
#[derive(Debug)]
pub(super) struct Board {
    /// The machine type; one that ends in a dash has versions.
    machine: &'static str,
    /// The block's name, unless the user made a memory backend of their own for it.
    ram: &'static str,
    /// Guest-physical address of its first byte.
    pub(super) base: u64,
    /// What happens if RAM does not fit below the first hole.
    pub(super) split: Option<Split>,
}

/// RAM in two pieces.
#[derive(Debug)]
pub(super) struct Split {
    /// RAM of fewer bytes stays in one piece.
    pub(super) from: u64,
    /// Bytes that stay at the base.
    pub(super) low: u64,
    /// Guest-physical address of the rest.
    pub(super) high: u64,
    /// If the rest would reach beyond this address, it may have been put elsewhere.
    pub(super) limit: u64,
}

const GIB: u64 = 1 << 30;

/// On AMD processors a PC moves all memory above 4 GiB to 1 TiB if any would lie in the HyperTransport
/// range, which begins here (AMD IOMMU specification §2.1.2). The stream does not name the processor.
const HYPERTRANSPORT: u64 = 0xfd_0000_0000;

/// QEMU's machine types, and vmig's own. Sources: `info mtree` of running machines, and QEMU's discussions of how RAM
/// is split; the rings of the recorded guests are where this says.
const BOARDS: &[Board] = &[
    Board {
        machine: "pc-i440fx-",
        ram: "pc.ram",
        base: 0,
        split: Some(Split { from: 0xe000_0000, low: 3 * GIB, high: 4 * GIB, limit: HYPERTRANSPORT }),
    },
    Board {
        machine: "pc-q35-",
        ram: "pc.ram",
        base: 0,
        split: Some(Split { from: 0xb000_0000, low: 2 * GIB, high: 4 * GIB, limit: HYPERTRANSPORT }),
    },
    Board {
        machine: "microvm",
        ram: "microvm.ram",
        base: 0,
        split: Some(Split { from: 3 * GIB, low: 3 * GIB, high: 4 * GIB, limit: u64::MAX }),
    },
    // Arm's `virt` has versions; those of RISC-V and LoongArch share a name that has none.
    Board { machine: "virt-", ram: "mach-virt.ram", base: GIB, split: None },
    Board { machine: "virt", ram: "riscv_virt_board.ram", base: 2 * GIB, split: None },
    Board {
        machine: "virt",
        ram: "loongarch.ram",
        base: 0,
        split: Some(Split { from: GIB / 4, low: GIB / 4, high: 2 * GIB, limit: u64::MAX }),
    },
    Board { machine: "s390-ccw-virtio-", ram: "s390.ram", base: 0, split: None },
    Board { machine: "pseries-", ram: "ppc_spapr.ram", base: 0, split: None },
    // The machine of `vmig demo`.
    Board { machine: "vmig-", ram: "vmig.ram", base: 0, split: None },
];

/// Ends of the names of blocks that are no RAM, where they do not begin with a device's path.
const NOT_RAM: [&str; 7] = [".bios", ".rom", ".mrom", ".flash", ".flash0", ".flash1", ".vram"];

/// A machine's board, and which blocks are its main RAM.
#[derive(Debug)]
pub(super) struct MainRam {
    pub(super) board: &'static Board,
    /// The blocks, by address.
    pub(super) blocks: Vec<usize>,
    /// What had to be assumed to tell which they are.
    pub(super) assumption: Option<String>,
}

impl MainRam {
    /// Finds the main RAM among blocks, given as name and bytes.
    pub(super) fn find(machine: &str, blocks: &[(&str, u64)]) -> Result<Self, MemoryError> {
        let boards: Vec<_> = BOARDS.iter().filter(|board| board.is(machine)).collect();
        for &board in &boards {
            if let Some(block) = blocks.iter().position(|&(name, _)| name == board.ram) {
                return Ok(Self { board, blocks: vec![block], assumption: None });
            }
        }
        match boards.as_slice() {
            [board] => Self::of_users_own(board, blocks),
            [] => Err(unknown(format!("the memory layout of machine type {machine} is not known"))),
            _ => Err(unknown(format!(
                "the memory layout of machine type {machine} is not known: several have that name, and no \
                 block has a name that tells which this is"
            ))),
        }
    }

    /// Finds the main RAM where the user gave the machine memory backends of their own.
    fn of_users_own(board: &'static Board, blocks: &[(&str, u64)]) -> Result<Self, MemoryError> {
        let indexed = || (0..).zip(blocks.iter().map(|&(name, _)| name));
        // libvirt has a backend of such a name for each NUMA node; QEMU lays nodes out in their order.
        let mut nodes: Vec<_> = indexed().filter_map(|(at, name)| Some((numa_node(name)?, at))).collect();
        if !nodes.is_empty() {
            nodes.sort_unstable();
            let assumption = "RAM is taken to be the blocks `ram-node…`, in the order of their numbers";
            let blocks = nodes.into_iter().map(|(_, at)| at).collect();
            return Ok(Self { board, blocks, assumption: Some(assumption.to_owned()) });
        }
        let plausible: Vec<(usize, &str)> = indexed().filter(|(_, name)| may_be_ram(name)).collect();
        match plausible.as_slice() {
            [(at, name)] => {
                let assumption = format!("RAM is taken to be the block `{name}`: no other can be");
                Ok(Self { board, blocks: vec![*at], assumption: Some(assumption) })
            }
            [] => {
                Err(unknown(format!("the stream has no block `{}`, and none that could be RAM", board.ram)))
            }
            _ => {
                let names: Vec<_> = plausible.iter().map(|&(_, name)| name).collect();
                let names = names.join("`, `");
                let ram = board.ram;
                Err(unknown(format!(
                    "the stream has no block `{ram}`; which of `{names}` is RAM is not known"
                )))
            }
        }
    }
}

impl Board {
    fn is(&self, machine: &str) -> bool {
        if self.machine.ends_with('-') { machine.starts_with(self.machine) } else { machine == self.machine }
    }
}

fn numa_node(name: &str) -> Option<u32> {
    name.strip_prefix("/objects/").unwrap_or(name).strip_prefix("ram-node")?.parse().ok()
}

/// Whether a block's name is one that a memory backend may have.
fn may_be_ram(name: &str) -> bool {
    // A device's block has the device's path before its own name, as in `0000:00:02.0/vga.vram`.
    let devices = name.starts_with("/rom@") || name.contains(':');
    !devices && !NOT_RAM.iter().any(|end| name.ends_with(end))
}

#[cold]
pub(super) fn unknown(reason: String) -> MemoryError {
    MemoryError::Unknown { reason }
}
