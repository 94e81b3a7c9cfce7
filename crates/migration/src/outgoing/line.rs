//! The way out: bytes are counted, and kept to the bandwidth.

use std::io::{self, IoSlice, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use vmstate::Writer;
use vmstate::ram::Encoder;
use vmstate::stream::{Command, Configuration, Head, footer, save_start};

use crate::count::Counter;
use crate::error::Cause;
use crate::ram::{Content, Page};

/// The value of the first ping. It shows that the return path works.
const FIRST_PING: u32 = 1;

/// A channel that a stream is written to.
pub(crate) struct Line<'a> {
    channel: &'a mut dyn Write,
    counter: &'a Counter,
    /// The most bytes in a second.
    bandwidth: Option<u64>,
    started: Instant,
    gone: u64,
    /// Heads of records, kept for their room.
    heads: Writer,
    ends: Vec<usize>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(channel: &'a mut dyn Write, counter: &'a Counter, bandwidth: Option<u64>) -> Self {
        let (heads, ends) = (Writer::new(), Vec::new());
        Self { channel, counter, bandwidth, started: Instant::now(), gone: 0, heads, ends }
    }

    /// Bytes that have gone.
    pub(crate) fn gone(&self) -> u64 {
        self.gone
    }

    /// Writes bytes, and waits if that was too fast.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.channel.write_all(bytes)?;
        self.count(bytes.len() as u64);
        Ok(())
    }

    /// Begins a stream, and has the destination answer if it is to.
    pub(crate) fn begin(
        &mut self,
        configuration: Option<&Configuration>,
        return_path: bool,
    ) -> Result<(), Cause> {
        let mut out = Writer::new();
        save_start(configuration, &mut out);
        if return_path {
            Head::Command(Command::OpenReturnPath).save(&mut out);
            Head::Command(Command::Ping(FIRST_PING)).save(&mut out);
        }
        self.put(out.as_bytes())
    }

    /// Writes the records of pages: heads and pages side by side, without copying these.
    pub(crate) fn records(&mut self, encoder: &mut Encoder, pages: &[Page<'_>]) -> Result<(), Cause> {
        self.heads.clear();
        self.ends.clear();
        for page in pages {
            match page.content {
                Content::Data(_) => encoder.page(page.at, &mut self.heads),
                Content::Zero | Content::Changes(_) => encoder.zero(page.at, &mut self.heads),
            }
            self.ends.push(self.heads.len());
        }
        let heads = self.heads.as_bytes();
        let mut slices = Vec::with_capacity(pages.len() * 2 + 1);
        let mut start = 0;
        for (page, &end) in pages.iter().zip(&self.ends) {
            if let Content::Data(bytes) = page.content {
                slices.push(IoSlice::new(heads.get(start..end).unwrap_or_default()));
                slices.push(IoSlice::new(bytes));
                start = end;
            }
        }
        slices.push(IoSlice::new(heads.get(start..).unwrap_or_default()));
        let bytes = slices.iter().map(|slice| slice.len() as u64).sum();
        write_all(self.channel, &mut slices)?;
        self.count(bytes);
        Ok(())
    }

    /// Ends a section of RAM, whose beginning is in `out`.
    pub(crate) fn end_section(&mut self, id: u32, mut out: Writer) -> Result<(), Cause> {
        Encoder::end_of_section(&mut out);
        out.bytes(&footer(id));
        self.put(out.as_bytes())
    }

    pub(crate) fn flush(&mut self) -> Result<(), Cause> {
        Ok(self.channel.flush()?)
    }

    fn count(&mut self, bytes: u64) {
        self.counter.bytes(bytes);
        self.gone = self.gone.saturating_add(bytes);
        if let Some(bandwidth) = self.bandwidth {
            #[expect(clippy::cast_precision_loss, reason = "a time, not an address")]
            let due = Duration::from_secs_f64(self.gone as f64 / bandwidth.max(1) as f64);
            sleep(due.saturating_sub(self.started.elapsed()));
        }
    }
}

fn write_all(channel: &mut dyn Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match channel.write_vectored(slices) {
            Ok(0) if slices.iter().all(|slice| slice.is_empty()) => break,
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
