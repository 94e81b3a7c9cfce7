//! The pages of a stream's RAM, each once.

use std::io::IoSlice;

use vmstate::ram::{Content, Encoder, PageAddress, ReadError, Run};
use vmstate::stream::{Head, Kind};
use vmstate::{Error, Writer};

use super::Sending;
use crate::error::Cause;
use crate::event::State;
use crate::ram::{Content as Sent, Page};

/// Pages that are written at once; with their heads they are as many slices as a call takes.
const BATCH: u64 = 256;
/// Batches in one section.
const BATCHES: u32 = 32;
/// Pages further apart than this are read one by one.
const LARGEST_GAP: u64 = 4096;

/// A section of pages that is being written.
struct Part {
    id: u32,
    encoder: Encoder,
    /// Batches in the section so far; `None` if none is open.
    batches: Option<u32>,
}

impl Sending<'_> {
    /// Sends all pages, unless they have gone.
    pub(super) fn pages(&mut self) -> Result<(), Cause> {
        let (Some(id), State::Setup, Some(ram)) = (self.ram_id, self.state, self.stream_ram()) else {
            return Ok(());
        };
        let (blocks, page_size) = (ram.blocks.clone(), ram.page_size);
        self.what.counter.start(&blocks, page_size);
        self.enter(State::Active);
        let mut part = Part { id, encoder: Encoder::new(&blocks), batches: None };
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
        let bytes = match run.content {
            Content::Zero => Vec::new(),
            Content::Data { .. } => self.read(block, run, page_size)?,
        };
        let pages: Vec<Page<'_>> = match run.content {
            Content::Zero => {
                (0..run.count).map(|index| Page { at: at(index), content: Sent::Zero }).collect()
            }
            Content::Data { .. } => bytes
                .chunks_exact(usize::try_from(page_size).unwrap_or(usize::MAX))
                .zip(0..)
                .map(|(bytes, index)| Page { at: at(index), content: Sent::Data(bytes) })
                .collect(),
        };
        self.what.counter.pages(&pages);
        self.open(part)?;
        self.records(&mut part.encoder, &pages)?;
        self.report();
        if part.batches.is_some_and(|batches| batches >= BATCHES) {
            self.close(part)?;
        }
        Ok(())
    }

    /// Writes the records of pages: heads and pages side by side, without copying these.
    fn records(&mut self, encoder: &mut Encoder, pages: &[Page<'_>]) -> Result<(), Cause> {
        let mut heads = Writer::with_capacity(pages.len() * 9 + Encoder::LONGEST_HEAD);
        let mut ends = Vec::with_capacity(pages.len());
        for page in pages {
            match page.content {
                Sent::Data(_) => encoder.page(page.at, &mut heads),
                Sent::Zero | Sent::Changes(_) => encoder.zero(page.at, &mut heads),
            }
            ends.push(heads.len());
        }
        let mut slices = Vec::with_capacity(pages.len() * 2);
        let mut start = 0;
        for (page, end) in pages.iter().zip(ends) {
            if let Sent::Data(bytes) = page.content {
                slices.push(IoSlice::new(heads.as_bytes().get(start..end).unwrap_or_default()));
                slices.push(IoSlice::new(bytes));
                start = end;
            }
        }
        slices.push(IoSlice::new(heads.as_bytes().get(start..).unwrap_or_default()));
        self.put_slices(&mut slices)
    }

    /// The bytes of a run, side by side.
    fn read(&self, block: usize, run: Run, page_size: u64) -> Result<Vec<u8>, Cause> {
        let mut bytes = vec![0; usize::try_from(run.count * page_size).unwrap_or_default()];
        let Some(ram) = self.stream_ram() else { return Ok(bytes) };
        let Content::Data { offset, stride } = run.content else { return Ok(bytes) };
        let gap = u64::from(stride).saturating_sub(page_size);
        let is_dense = run.count == 1 || (u64::from(stride) >= page_size && gap <= LARGEST_GAP);
        if ram.xbzrle > 0 || !is_dense {
            let failed = |error| match error {
                ReadError::Stream(error) => Cause::Stream(error),
                other => Cause::Refused(other.to_string()),
            };
            ram.read(self.what.source, block, run.first * page_size, &mut bytes).map_err(failed)?;
            return Ok(bytes);
        }
        let failed = |error: std::io::Error| Cause::Stream(Error::new(error.into(), offset));
        if gap == 0 {
            self.what.source.read_exact_at(offset, &mut bytes).map_err(failed)?;
            return Ok(bytes);
        }
        let span = (run.count - 1) * u64::from(stride) + page_size;
        let mut spread = vec![0; usize::try_from(span).unwrap_or_default()];
        self.what.source.read_exact_at(offset, &mut spread).map_err(failed)?;
        let strides = spread.chunks(usize::try_from(stride).unwrap_or(usize::MAX));
        for (page, from) in bytes.chunks_exact_mut(usize::try_from(page_size).unwrap_or(1)).zip(strides) {
            page.copy_from_slice(from.get(..page.len()).unwrap_or_default());
        }
        Ok(bytes)
    }

    /// Begins a section, unless one is open.
    fn open(&mut self, part: &mut Part) -> Result<(), Cause> {
        match &mut part.batches {
            Some(batches) => *batches += 1,
            None => {
                part.batches = Some(1);
                let mut out = Writer::new();
                Head::More { kind: Kind::Part, id: part.id }.save(&mut out);
                self.put(out.as_bytes())?;
            }
        }
        Ok(())
    }

    fn close(&mut self, part: &mut Part) -> Result<(), Cause> {
        match part.batches.take() {
            Some(_) => self.end_section(part.id, Writer::new()),
            None => Ok(()),
        }
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
