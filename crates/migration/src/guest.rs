//! A guest that runs in this process: what it must be able to do to leave, and what a machine must to take one in.
//!
//! Both speak of the guest as the stream does: RAM by block and offset, devices by their sections.

use std::io;
use std::time::Duration;

use vmstate::ram::{Block, PageAddress};
use vmstate::stream::{Configuration, PageSizes, Stream};
use vmstate::vmdesc::StructDesc;

use crate::error::Cause;
use crate::ram::{Page, RamSink};

/// The state of a device, or of anything else that is not RAM, as it goes into a stream.
#[derive(Debug, Clone)]
pub struct DeviceSection {
    /// The section's name (QEMU: idstr).
    pub name: String,
    /// Which of those with that name.
    pub instance: u32,
    /// The version of its body.
    pub version: u32,
    /// The body.
    pub body: Vec<u8>,
    /// What the body is made of.
    pub description: StructDesc,
    /// How long it took to stop the device and save it.
    pub saved_in: Duration,
}

/// A guest that runs here and can leave.
pub trait RunningGuest: Sync {
    /// The machine type, and what else both sides must have in common.
    fn configuration(&self) -> Configuration;

    /// The blocks of its RAM.
    fn blocks(&self) -> Vec<Block>;

    /// Bytes of a page.
    fn page_size(&self) -> u64;

    /// Takes the dirty bits of a block: one for each page, lowest first, set if the page was written since they were
    /// last taken. A write that happens meanwhile is in these bits or in the next.
    fn take_dirty(&self, block: usize) -> Vec<u64>;

    /// Reads pages that lie side by side.
    ///
    /// # Errors
    /// If the block has none there.
    fn read(&self, block: usize, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Lets the guest run only for the rest of each hundred: 0 lets it run freely.
    fn throttle(&self, percent: u8);

    /// Stops the guest and all its devices, and gives their state. Nothing is written to RAM after this returns.
    ///
    /// # Errors
    /// If a device cannot be stopped. The guest stands still then, and is nowhere else.
    fn stop(&self) -> Result<Vec<DeviceSection>, Cause>;

    /// Goes on running with what [`stop`](Self::stop) gave: the guest did not leave.
    ///
    /// # Errors
    /// If a device does not go on.
    fn resume(&self, sections: &[DeviceSection]) -> Result<(), Cause>;
}

/// A machine that can take a guest in.
pub trait Home: Sync {
    /// Whether it is a guest for this machine: the header has come.
    ///
    /// # Errors
    /// If it is not.
    fn start(&self, configuration: Option<&Configuration>) -> Result<(), Cause>;

    /// Whether its RAM fits: the block list has come.
    ///
    /// # Errors
    /// If it does not.
    fn blocks(&self, blocks: &[Block], page_size: u64) -> Result<(), Cause>;

    /// Where its pages go.
    fn ram(&self) -> &dyn RamSink;

    /// Takes up the state of all devices: `stream` has their sections, whose bodies are in `bytes`. Gives how long
    /// each took, in the order of the stream.
    ///
    /// # Errors
    /// If there is something wrong with one, or one is missing. Nothing runs then.
    fn load(&self, stream: &Stream, bytes: &[u8]) -> Result<Vec<Duration>, Cause>;

    /// What it can do so that a guest runs in it while RAM is still coming; nothing if it cannot.
    fn postcopy(&self) -> Option<&dyn PostcopyHome> {
        None
    }
}

/// A machine in which a guest can run before all of its RAM has come: whoever touches a page that is missing waits until
/// it is put there. The calls come in the order in which they stand here.
pub trait PostcopyHome: Sync {
    /// Gets ready: post-copy may come, with these page sizes. Nothing of the guest has come yet.
    ///
    /// # Errors
    /// If it cannot be done here.
    fn advise(&self, sizes: PageSizes) -> Result<(), Cause>;

    /// These pages of a block are out of date: from `start` on so many bytes are missing.
    ///
    /// # Errors
    /// If the block has none there.
    fn discard(&self, block: usize, start: u64, bytes: u64) -> io::Result<()>;

    /// From now on whoever touches a page that is missing waits.
    ///
    /// # Errors
    /// If the system refuses.
    fn listen(&self) -> io::Result<()>;

    /// The pages that somebody began to wait for since this was last asked; waits so long for the first.
    ///
    /// # Errors
    /// If that cannot be known.
    fn faults(&self, within: Duration) -> io::Result<Vec<PageAddress>>;

    /// Puts pages where they are missing, each at once, and wakes who waits for it. A page that is there stays as it
    /// is: the guest may have written to it.
    ///
    /// # Errors
    /// If a page cannot be put there, or is a change to what it was.
    fn place(&self, pages: &[Page<'_>]) -> io::Result<()>;

    /// The guest runs.
    fn run(&self);

    /// Nobody waits any more; a page that is still missing is zero. All have come, or the guest never runs here.
    fn release(&self);

    /// The guest runs no more: what is missing will never come. Who waits for it goes on waiting, since with zeros in its
    /// place it would do harm.
    fn lose(&self);
}
