//! Machines put together alike: what is at both ends of a migration.

use std::io::Read;

use virtio::core::Features;
use virtio::device::balloon::{BalloonHandle, LiveBalloon};
use virtio::device::blk::{BlkOptions, LiveBlk};
use virtio::device::console::LiveConsole;
use virtio::device::console::port::ConsolePort;
use virtio::device::disk::Disk;
use virtio::device::input::{InputHandle, LiveInput};
use virtio::device::net::port::Port;
use virtio::device::net::{LiveNet, NetOptions};
use virtio::device::rng::LiveRng;
use virtio::device::scsi::{LiveScsi, ScsiAddress, ScsiBay, ScsiDrive, ScsiOptions};
use virtio::device::vsock::LiveVsock;
use virtio::device::vsock::host::VsockHost;
use virtio::live::LiveDevice;
use virtio::transport::{LiveMmio, LivePci, TransportKind};

use crate::machine::Machine;
use crate::ram::{Memory, NoRam};

/// The context ID of the guest: the first that guests can have.
const GUEST_CID: u64 = 3;

/// What a machine has.
#[derive(Debug, Clone, Copy)]
pub struct Kit {
    /// Bytes of RAM.
    pub ram: u64,
    /// How its devices are reached: memory-mapped registers or PCI.
    pub transport: TransportKind,
    /// Whether packed rings are offered.
    pub packed: bool,
    /// Queues of the block device.
    pub blk_queues: u16,
    /// Request queues of the SCSI host.
    pub scsi_queues: u16,
    /// Queue pairs of the network device.
    pub net_pairs: u16,
    /// Requests that the block device and the SCSI host serve in one go: with few, some are in flight when they stop.
    pub blk_at_once: usize,
}

/// The world around a machine.
pub struct World {
    /// What the disk is kept in.
    pub disk: Box<dyn Disk>,
    /// What the disks of the SCSI host are kept in: LUN 0 of one target each.
    pub targets: Vec<Box<dyn Disk>>,
    /// The network.
    pub port: Box<dyn Port>,
    /// Whoever reads the console.
    pub console: Box<dyn ConsolePort>,
    /// Where entropy comes from.
    pub entropy: Box<dyn Read + Send>,
    /// Whom the guest's sockets reach.
    pub sockets: Box<dyn VsockHost>,
    /// Whoever types.
    pub keyboard: InputHandle,
    /// Whoever wants memory back.
    pub balloon: BalloonHandle,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl Kit {
    /// A machine in a world: block, network and console device, a source of entropy, sockets, a keyboard, a balloon, and a
    /// SCSI host with disks.
    ///
    /// # Errors
    /// If there is not so much RAM.
    pub fn build(&self, world: World) -> Result<Machine, NoRam> {
        let mut machine = Machine::new(self.ram, self.transport)?;
        let memory = machine.ram().memory().clone();
        let packed = self.packed.then_some(Features::RING_PACKED);
        let reserved = [Features::INDIRECT_DESC, Features::EVENT_IDX].into_iter().chain(packed).collect();
        let blk = BlkOptions { queues: self.blk_queues, at_once: self.blk_at_once, ..BlkOptions::default() };
        let net = NetOptions { pairs: self.net_pairs, ..NetOptions::default() };
        let given = Box::new(machine.ram().clone());
        let devices: Vec<Box<dyn LiveDevice<Memory>>> = vec![
            Box::new(LiveBlk::new(world.disk, blk)),
            Box::new(LiveNet::new(world.port, net)),
            Box::new(LiveConsole::single(world.console)),
            Box::new(LiveRng::new(world.entropy)),
            Box::new(LiveVsock::new(GUEST_CID, world.sockets)),
            Box::new(LiveInput::keyboard(world.keyboard)),
            Box::new(LiveBalloon::new(given, world.balloon)),
            Box::new(self.scsi(world.targets)),
        ];
        for device in devices {
            machine.plug(match self.transport {
                TransportKind::Pci => Box::new(LivePci::new(device, memory.clone(), reserved)),
                _ => Box::new(LiveMmio::new(device, memory.clone(), reserved)),
            });
        }
        Ok(machine)
    }

    fn scsi(&self, disks: Vec<Box<dyn Disk>>) -> LiveScsi {
        let options =
            ScsiOptions { queues: self.scsi_queues, at_once: self.blk_at_once, ..ScsiOptions::default() };
        let drives = (0..=u8::MAX).zip(disks).map(|(target, disk)| {
            let serial = format!("disk-{target}");
            (ScsiAddress { target, lun: 0 }, ScsiDrive { disk, serial })
        });
        LiveScsi::new(drives, ScsiBay::default(), options)
    }

    /// How many queues its devices have in all.
    #[must_use]
    pub fn queues(&self) -> u32 {
        // Two for each pair and one for control; four of the console, two of which are for control; one for entropy.
        u32::from(self.blk_queues) + 2 * u32::from(self.net_pairs) + 1 + 4 + 1
            // Sockets, keyboard, balloon.
            + 3 + 2 + 3
            // One for control of the SCSI host, and one for its events.
            + 2 + u32::from(self.scsi_queues)
    }
}
