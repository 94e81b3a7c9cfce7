//! `vmig demo`: watch a guest with live virtio devices move from process to process.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Outcome;
use super::send::size;
use crate::demo::play::{Fault, Play};
use crate::demo::protocol::{Rings, Setting, Transport};

/// Watch a live migration, with nothing but this program
///
/// Starts a source and a destination process, with a guest that works all its devices: it writes numbered records to
/// disks and reads them back, sends frames to a peer that answers and messages to an echo at a socket, beats on a console,
/// counts keys, gives memory to a balloon and takes it back, changes its network device's filters, and dirties memory.
/// The guest moves while it works. Then what the disks, the network and the console saw is
/// compared with what the guest says it did: nothing may be lost, come twice or be damaged.
///
/// The stream is that of QEMU: header, RAM in rounds, device sections, description.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig demo
  vmig demo --transport pci --rings packed --hops 4
  vmig demo --fault device              the destination is killed while the guest is stopped
  vmig demo --postcopy                  the guest runs over there first, and its memory follows
  vmig demo --bandwidth 200M            slower than the guest writes: it is throttled until it fits
  vmig demo --json | jq -c 'select(.word == \"step\")'

Exit status: 0 the guest is well, and nothing was lost; 1 something was; 2 it could not be shown.")]
pub(crate) struct Demo {
    /// How often the guest moves
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    hops: u32,
    /// The format of its rings
    #[arg(long, value_enum, default_value = "split")]
    rings: Rings,
    /// How it reaches its devices
    #[arg(long, value_enum, default_value = "mmio")]
    transport: Transport,
    /// What happens at the first move: the destination is killed in this state, or, once it has acknowledged, the source
    #[arg(long, value_enum, value_name = "STAGE")]
    fault: Option<Fault>,
    /// Move it by post-copy: after one round of memory it is handed over, and what it has written to since follows it,
    /// with what it waits for first (needs userfaultfd: root, or access to /dev/userfaultfd). One more move is made by
    /// pre-copy then, to compare
    #[arg(long)]
    postcopy: bool,
    /// Memory that the guest dirties again and again
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = size)]
    dirty: u64,
    /// The most bytes in a second that a move takes
    #[arg(long, value_name = "BYTES", value_parser = size)]
    bandwidth: Option<u64>,
    /// How long the guest works between two moves, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 700)]
    work: u64,
    /// Where the stream of the last move is kept
    #[arg(long, short, value_name = "FILE", default_value = "demo.mig")]
    output: PathBuf,
    /// Print everything that happens as JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(crate) fn run(&self) -> Outcome {
        let setting = Setting {
            transport: self.transport,
            rings: self.rings,
            // What the drivers need beside what is dirtied.
            ram: self.dirty + (64 << 20),
            dirty: self.dirty,
            dirty_pages: 48,
            // 64 queues in all.
            blk_queues: 10,
            scsi_queues: 4,
            net_pairs: 17,
        };
        let play = Play {
            setting,
            hops: self.hops,
            postcopy: self.postcopy,
            fault: self.fault,
            bandwidth: self.bandwidth,
            work: Duration::from_millis(self.work),
            output: &self.output,
            json: self.json,
        };
        play.run()
    }
}
