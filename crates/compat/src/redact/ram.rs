//! RAM sections written again, with all pages but a few as zero pages.

use std::collections::BTreeSet;

use virtio::guest::Page;
use vmstate::ram::{Decoder, Layout, PageAddress, Record};
use vmstate::source::{Cursor, Source, read_vec};
use vmstate::stream::{Section, Stream};
use vmstate::{Error, ErrorKind, Result, Writer};

use super::Redacted;

/// The most that mapped RAM may have: it is written from memory.
const LARGEST_MAPPED: u64 = 1 << 30;
/// The flag of a page of zeros, of a page, and of one with changes, in the head of a record.
const ZERO: u64 = 0x02;
const PAGE: u64 = 0x08;
const XBZRLE: u64 = 0x40;

/// Writes the RAM sections of a stream again, in order.
pub(super) struct Redactor<'a> {
    stream: &'a Stream,
    source: &'a dyn Source,
    keep: &'a BTreeSet<Page>,
    decoder: Decoder,
    done: Redacted,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(stream: &'a Stream, source: &'a dyn Source, keep: &'a BTreeSet<Page>) -> Self {
        let has = |name| stream.configuration.as_ref().is_some_and(|c| c.has_capability(name));
        let layout = Layout { addresses: has("x-ignore-shared"), mapped: has("mapped-ram"), postcopy: false };
        let page_size = stream.ram.as_ref().map_or(4096, |ram| ram.page_size);
        Self { stream, source, keep, decoder: Decoder::new(page_size, layout), done: Redacted::default() }
    }

    pub(super) fn finish(self) -> Redacted {
        self.done
    }

    /// The new body of a section.
    pub(super) fn section(&mut self, section: &Section) -> Result<Vec<u8>> {
        if self.is_mapped() {
            return self.mapped(section);
        }
        let mut cursor = Cursor::new(self.source, section.body_offset);
        let mut out = Writer::new();
        loop {
            let start = cursor.offset();
            let record = cursor.read(|input| self.decoder.decode(input))?;
            let head = read_vec(self.source, start, cursor.offset() - start, u64::MAX, "bytes")?;
            match record {
                Record::EndOfSection => {
                    out.bytes(&head);
                    return Ok(out.into_bytes());
                }
                Record::Page(page) if self.keeps(page) => {
                    let bytes = self.decoder.page_size();
                    out.bytes(&head);
                    out.bytes(&read_vec(self.source, cursor.offset(), bytes, bytes, "bytes")?);
                    cursor.skip(bytes)?;
                    self.done.kept += 1;
                }
                Record::Page(_) => {
                    cursor.skip(self.decoder.page_size())?;
                    out.bytes(&as_zero(head, PAGE));
                    out.u8(0);
                    self.done.dropped += 1;
                }
                Record::Xbzrle { page, bytes } if self.keeps(page) => {
                    out.bytes(&head);
                    out.bytes(&read_vec(self.source, cursor.offset(), bytes.into(), u64::MAX, "bytes")?);
                    cursor.skip(bytes.into())?;
                    self.done.kept += 1;
                }
                Record::Xbzrle { bytes, .. } => {
                    cursor.skip(bytes.into())?;
                    // Encoding and length, three bytes, end the head; a zero page has a fill byte there.
                    let head = head.get(..head.len().saturating_sub(3)).unwrap_or_default().to_vec();
                    out.bytes(&as_zero(head, XBZRLE));
                    out.u8(0);
                    self.done.dropped += 1;
                }
                Record::MemSize { .. } | Record::Block(_) | Record::Zero(_) | Record::MultifdFlush => {
                    out.bytes(&head);
                }
            }
        }
    }

    fn keeps(&self, PageAddress { block, offset }: PageAddress) -> bool {
        self.keep.contains(&Page { block, index: offset / self.decoder.page_size() })
    }

    fn is_mapped(&self) -> bool {
        self.stream.ram.iter().flat_map(|ram| &ram.blocks).any(|block| block.mapped.is_some())
    }

    /// A section of a mapped-ram stream: in the first, each page has its place, and a bit if it is there.
    fn mapped(&mut self, section: &Section) -> Result<Vec<u8>> {
        if section.body_bytes > LARGEST_MAPPED {
            let text =
                format!("redacting mapped RAM of {} bytes, more than {LARGEST_MAPPED},", section.body_bytes);
            return Err(Error::new(ErrorKind::Unsupported(text.into()), section.body_offset));
        }
        let mut body =
            read_vec(self.source, section.body_offset, section.body_bytes, LARGEST_MAPPED, "bytes")?;
        let blocks = self.stream.ram.iter().flat_map(|ram| &ram.blocks).enumerate();
        for (block, mapped) in blocks.filter_map(|(block, info)| Some((block, (info.mapped?, info.bytes)))) {
            let (mapped, bytes) = mapped;
            for index in 0..bytes.div_ceil(mapped.page_size) {
                let bit = mapped.bitmap_offset + index / 8;
                let page = mapped.pages_offset + index * mapped.page_size;
                let within = |at: u64| usize::try_from(at.checked_sub(section.body_offset)?).ok();
                let Some(byte) = within(bit).and_then(|at| body.get_mut(at)) else { continue };
                let mask = 1 << (index % 8);
                if *byte & mask == 0 {
                    continue;
                }
                if self.keep.contains(&Page { block, index }) {
                    self.done.kept += 1;
                    continue;
                }
                *byte &= !mask;
                self.done.dropped += 1;
                let length = usize::try_from(mapped.page_size).unwrap_or_default();
                if let Some(page) = within(page).and_then(|at| body.get_mut(at..at + length)) {
                    page.fill(0);
                }
            }
        }
        Ok(body)
    }
}

/// The head of a record of a page, as that of a page of zeros.
fn as_zero(mut head: Vec<u8>, flag: u64) -> Vec<u8> {
    if let Some(first) = head.first_chunk_mut::<8>() {
        *first = (u64::from_be_bytes(*first) & !flag | ZERO).to_be_bytes();
    }
    head
}
