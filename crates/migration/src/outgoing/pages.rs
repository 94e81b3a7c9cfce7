//! The pages of a stream's RAM, each once.

use vmstate::ram::{Content, PageAddress, ReadError, Run};
use vmstate::{Error, Writer};

use super::Sending;
use super::part::Part;
use crate::error::Cause;
use crate::event::State;
use crate::ram::{Content as Sent, Page};

/// Pages that are written at once; with their heads they are as many slices as a call takes.
const BATCH: u64 = 256;
/// Pages further apart than this are read one by one.
const LARGEST_GAP: u64 = 4096;

impl Sending<'_> {
    /// Sends all pages, unless they have gone.
    pub(super) fn pages(&mut self) -> Result<(), Cause> {
        let (Some(id), State::Setup, Some(ram)) = (self.ram_id, self.state, self.stream_ram()) else {
            return Ok(());
        };
        let (blocks, page_size) = (ram.blocks.clone(), ram.page_size);
        self.what.counter.start(&blocks, page_size);
        self.enter(State::Active);
        let mut part = Part::new(id, &blocks);
        for block in 0..blocks.len() {
            let runs: Vec<Run> = self.stream_ram().map(|ram| ram.runs(block).collect()).unwrap_or_default();
            for run in runs.into_iter().flat_map(|run| pieces(run, BATCH)) {
                self.run(&mut part, block, run, page_size)?;
            }
        }
        self.close(&mut part)
    }

    /// Pages that follow one another.
    fn run(&mut self, part: &mut Part, block: usize, run: Run, page_size: u64) -> Result<(), Cause> {
        let at = |index: u64| PageAddress { block, offset: (run.first + index) * page_size };
        let mut buffer = std::mem::take(&mut self.buffer);
        let size = usize::try_from(page_size).unwrap_or(usize::MAX);
        let pages: Vec<Page<'_>> = match run.content {
            Content::Zero => {
                (0..run.count).map(|index| Page { at: at(index), content: Sent::Zero }).collect()
            }
            Content::Data { .. } => {
                self.read(block, run, page_size, &mut buffer)?;
                let pages = buffer.chunks_exact(size).zip(0..);
                pages.map(|(bytes, index)| Page { at: at(index), content: Sent::Data(bytes) }).collect()
            }
        };
        self.what.counter.pages(&pages);
        match (&mut self.senders, run.content) {
            (Some(senders), Content::Data { .. }) => senders.pages(block, at(0).offset, &buffer)?,
            _ => part.batch(&pages, &mut self.line)?,
        }
        drop(pages);
        self.buffer = buffer;
        self.report();
        if part.is_full() {
            self.close(part)?;
        }
        Ok(())
    }

    /// The bytes of a run, side by side.
    fn read(&self, block: usize, run: Run, page_size: u64, bytes: &mut Vec<u8>) -> Result<(), Cause> {
        bytes.resize(usize::try_from(run.count * page_size).unwrap_or_default(), 0);
        let (Some(ram), Content::Data { offset, stride }) = (self.stream_ram(), run.content) else {
            return Ok(());
        };
        let gap = u64::from(stride).saturating_sub(page_size);
        let is_dense = run.count == 1 || (u64::from(stride) >= page_size && gap <= LARGEST_GAP);
        if ram.xbzrle > 0 || !is_dense {
            let failed = |error| match error {
                ReadError::Stream(error) => Cause::Stream(error),
                other => Cause::Refused(other.to_string()),
            };
            ram.read(self.what.source, block, run.first * page_size, bytes).map_err(failed)?;
            return Ok(());
        }
        let failed = |error: std::io::Error| Cause::Stream(Error::new(error.into(), offset));
        if gap == 0 {
            self.what.source.read_exact_at(offset, bytes).map_err(failed)?;
            return Ok(());
        }
        let span = (run.count - 1) * u64::from(stride) + page_size;
        let mut spread = vec![0; usize::try_from(span).unwrap_or_default()];
        self.what.source.read_exact_at(offset, &mut spread).map_err(failed)?;
        let strides = spread.chunks(usize::try_from(stride).unwrap_or(usize::MAX));
        for (page, from) in bytes.chunks_exact_mut(usize::try_from(page_size).unwrap_or(1)).zip(strides) {
            page.copy_from_slice(from.get(..page.len()).unwrap_or_default());
        }
        Ok(())
    }

    /// Ends the section, if one is open.
    fn close(&mut self, part: &mut Part) -> Result<(), Cause> {
        if part.is_open() {
            let mut last = Writer::new();
            self.meet(false, &mut last)?;
            part.end(last, &mut self.line)?;
        }
        Ok(())
    }
}

/// A run in pieces of at most so many pages.
fn pieces(run: Run, most: u64) -> impl Iterator<Item = Run> {
    (0..run.count.div_ceil(most)).map(move |piece| {
        let skipped = piece * most;
        let content = match run.content {
            Content::Zero => Content::Zero,
            Content::Data { offset, stride } => {
                Content::Data { offset: offset + skipped * u64::from(stride), stride }
            }
        };
        Run { first: run.first + skipped, count: (run.count - skipped).min(most), content }
    })
}
