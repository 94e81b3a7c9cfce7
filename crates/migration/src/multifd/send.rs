//! Sending pages over multifd channels: a thread for each, which compresses and writes.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use parking_lot::Mutex;
use vmstate::ram::Block;

use super::compression::{Compression, Deflater};
use super::packet::{Packet, flag, most_pages};
use crate::channel::{Channel, WriteHalf};
use crate::count::Counter;
use crate::error::Cause;

/// Packets that wait for a channel; more make whoever has them wait.
const WAITING: usize = 2;

/// What a channel is to send.
enum Job {
    /// Pages of a block that lie side by side, from an offset on.
    Pages { block: usize, offset: u64, bytes: Vec<u8> },
    /// What was sent before must be there before what is sent after.
    Sync,
}

/// The channels of a guest that leaves.
pub(crate) struct Senders<'scope> {
    jobs: Vec<SyncSender<Job>>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    common: &'scope Common<'scope>,
    next: usize,
}

/// What the channels have in common.
pub(crate) struct Common<'a> {
    pub(crate) blocks: &'a [Block],
    pub(crate) page_size: u64,
    pub(crate) compression: Compression,
    pub(crate) counter: &'a Counter,
    /// Why a channel failed.
    pub(crate) failure: Mutex<Option<Cause>>,
    /// Packets so far, over all channels.
    pub(crate) packets: AtomicU64,
}

impl<'scope> Senders<'scope> {
    /// Begins to send over channels, which have said what they are.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        channels: Vec<Channel>,
        common: &'scope Common<'scope>,
    ) -> Self {
        let mut senders = Self { jobs: Vec::new(), threads: Vec::new(), common, next: 0 };
        for channel in channels {
            let (jobs, waiting) = sync_channel(WAITING);
            senders.jobs.push(jobs);
            senders.threads.push(scope.spawn(move || {
                // The other half is kept: a channel of which one half is closed looks like one that ends.
                let (_read, write) = channel.split();
                if let Err(cause) = run(write, &waiting, common) {
                    common.failure.lock().get_or_insert(cause);
                }
            }));
        }
        senders
    }

    /// Sends pages of a block that lie side by side.
    pub(crate) fn pages(&mut self, block: usize, mut offset: u64, bytes: &[u8]) -> Result<(), Cause> {
        let page_size = self.common.page_size;
        let most = most_pages(page_size) * usize::try_from(page_size).unwrap_or(usize::MAX);
        for packet in bytes.chunks(most) {
            let job = Job::Pages { block, offset, bytes: packet.to_vec() };
            offset += packet.len() as u64;
            let to = self.next % self.jobs.len().max(1);
            self.next = self.next.wrapping_add(1);
            let sent = self.jobs.get(to).map(|jobs| jobs.send(job));
            if !matches!(sent, Some(Ok(()))) {
                return Err(self.why());
            }
        }
        Ok(())
    }

    /// Has all channels say that what was sent before must be there before what is sent after.
    pub(crate) fn synchronise(&self) -> Result<(), Cause> {
        let sent = self.jobs.iter().all(|jobs| jobs.send(Job::Sync).is_ok());
        if sent { Ok(()) } else { Err(self.why()) }
    }

    /// Waits until all that was given to the channels has gone.
    pub(crate) fn finish(mut self) -> Result<(), Cause> {
        self.jobs.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        match self.common.failure.lock().take() {
            Some(cause) => Err(cause),
            None => Ok(()),
        }
    }

    fn why(&self) -> Cause {
        let failure = self.common.failure.lock().take();
        failure.unwrap_or_else(|| Cause::Multifd("a channel to the destination has failed".to_owned()))
    }
}

fn run(mut channel: WriteHalf, jobs: &Receiver<Job>, common: &Common<'_>) -> Result<(), Cause> {
    let mut deflater = Deflater::new(common.compression).map_err(Cause::Multifd)?;
    let mut content = Vec::new();
    while let Ok(job) = jobs.recv() {
        let number = common.packets.fetch_add(1, Ordering::Relaxed);
        let mut packet = Packet { flags: common.compression.flag(), number, ..Packet::default() };
        content.clear();
        match job {
            Job::Sync => packet.flags |= flag::SYNC,
            Job::Pages { block, offset, bytes } => {
                packet.block = common.blocks.get(block).map(|block| block.name.clone()).unwrap_or_default();
                packet.normal = (0..bytes.len() as u64 / common.page_size)
                    .map(|page| offset + page * common.page_size)
                    .collect();
                deflater.deflate(&bytes, &mut content).map_err(Cause::Multifd)?;
            }
        }
        packet.content = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let head = packet.save(common.page_size);
        channel.write_all(&head)?;
        channel.write_all(&content)?;
        common.counter.bytes((head.len() + content.len()) as u64);
    }
    // The channel is closed with this; that the peer may be gone already is no failure any more.
    let _ = channel.close();
    Ok(())
}
