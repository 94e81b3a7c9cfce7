//! RAM in a file, each page at its own place.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::pwritev;
use vmstate::Reader;
use vmstate::ram::{Block, PageAddress, xbzrle};

use crate::ram::{Content, Page, RamSink};

/// The most slices that are written at once.
const MOST_SLICES: usize = 512;

/// RAM in a file, each page at its own place. Pages of zeros take no room.
#[derive(Debug)]
pub struct MappedRam {
    file: File,
    layout: OnceLock<Layout>,
}

#[derive(Debug)]
struct Layout {
    page_size: u64,
    blocks: Vec<Placed>,
}

/// A block, and which of its pages are there.
#[derive(Debug)]
struct Placed {
    pages_offset: u64,
    bitmap: Vec<AtomicU64>,
}

impl MappedRam {
    /// RAM in `file`.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, layout: OnceLock::new() }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// These are the blocks; each is placed.
    pub(super) fn place(&self, blocks: &[Block], page_size: u64) {
        let placed = |block: &Block| Placed {
            pages_offset: block.mapped.map_or(0, |mapped| mapped.pages_offset),
            bitmap: (0..block.bytes.div_ceil(page_size).div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        };
        // A second list of blocks is refused before it gets here.
        drop(self.layout.set(Layout { page_size, blocks: blocks.iter().map(placed).collect() }));
    }

    /// Which pages of a block are there, a bit for each, as a mapped-ram file has them.
    pub(super) fn bitmap(&self, block: usize) -> Vec<u8> {
        let placed = self.layout.get().and_then(|layout| layout.blocks.get(block));
        let words = placed.map(|placed| placed.bitmap.as_slice()).unwrap_or_default();
        words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect()
    }
}

impl Layout {
    /// The page's place in the file, and its bit.
    fn find(&self, at: PageAddress) -> io::Result<(u64, &AtomicU64, u64)> {
        let number = at.offset / self.page_size;
        let placed = self.blocks.get(at.block);
        let found = placed.and_then(|placed| {
            let word = placed.bitmap.get(usize::try_from(number / 64).ok()?)?;
            Some((placed.pages_offset.checked_add(at.offset)?, word, 1 << (number % 64)))
        });
        found.ok_or_else(|| io::Error::other(format!("no page {:#x} in block {}", at.offset, at.block)))
    }
}

impl RamSink for MappedRam {
    fn pages(&self, pages: &[Page<'_>]) -> io::Result<()> {
        let layout = self.layout.get().ok_or_else(|| io::Error::other("pages before the block list"))?;
        let mut run = Run { file: &self.file, start: 0, end: 0, slices: Vec::with_capacity(pages.len()) };
        for page in pages {
            let (place, word, bit) = layout.find(page.at)?;
            match page.content {
                Content::Data(bytes) => {
                    run.add(place, bytes)?;
                    word.fetch_or(bit, Ordering::Relaxed);
                }
                Content::Zero => {
                    // One that was never there is a hole already.
                    if word.load(Ordering::Relaxed) & bit != 0 {
                        run.write()?;
                        clear(&self.file, place, layout.page_size)?;
                        word.fetch_and(!bit, Ordering::Relaxed);
                    }
                }
                Content::Changes(changes) => {
                    run.write()?;
                    let mut bytes = vec![0; usize::try_from(layout.page_size).unwrap_or_default()];
                    self.file.read_exact_at(&mut bytes, place).or_else(beyond_the_end)?;
                    xbzrle::apply(&mut Reader::new(changes, 0), &mut bytes).map_err(io::Error::other)?;
                    self.file.write_all_at(&bytes, place)?;
                    word.fetch_or(bit, Ordering::Relaxed);
                }
            }
        }
        run.write()
    }
}

/// What was never written is zero.
fn beyond_the_end(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::UnexpectedEof { Ok(()) } else { Err(error) }
}

/// Makes a page a hole.
fn clear(file: &File, place: u64, bytes: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if fallocate(file, flags, place, bytes).is_ok() {
        return Ok(());
    }
    // Not every file system has holes.
    file.write_all_at(&vec![0; usize::try_from(bytes).unwrap_or_default()], place)
}

/// Pages that lie side by side in the file, to be written at once.
struct Run<'a> {
    file: &'a File,
    start: u64,
    end: u64,
    slices: Vec<IoSlice<'a>>,
}

impl<'a> Run<'a> {
    fn add(&mut self, place: u64, bytes: &'a [u8]) -> io::Result<()> {
        if self.end != place || self.slices.len() == MOST_SLICES {
            self.write()?;
        }
        if self.slices.is_empty() {
            self.start = place;
        }
        self.slices.push(IoSlice::new(bytes));
        self.end = place.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let mut slices = self.slices.as_mut_slice();
        while !slices.is_empty() {
            match pwritev(self.file, slices, self.start) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.start = self.start.saturating_add(written as u64);
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.slices.clear();
        Ok(())
    }
}
