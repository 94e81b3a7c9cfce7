//! RAM sections written again, with all pages but a few as zero pages.

use virtio::guest::Page;
use vmstate::ram::{Decoder, Layout, PageAddress, Record};
use vmstate::source::{Cursor, Source, read_vec};
use vmstate::stream::{Kind, Section, Stream};
use vmstate::{Result, Writer};

use super::{Keep, Redacted, mapped};

/// Flags in the head of a record.
pub(super) mod flag {
    /// A page of zeros.
    pub(in super::super) const ZERO: u64 = 0x02;
    /// The block list.
    pub(in super::super) const MEM_SIZE: u64 = 0x04;
    /// A page.
    pub(in super::super) const PAGE: u64 = 0x08;
    /// The end of the section.
    pub(in super::super) const EOS: u64 = 0x10;
    /// A page with changes.
    pub(in super::super) const XBZRLE: u64 = 0x40;
}

/// Writes the RAM sections of a stream again, in order.
pub(super) struct Redactor<'a> {
    stream: &'a Stream,
    source: &'a dyn Source,
    keep: &'a Keep,
    decoder: Decoder,
    done: Redacted,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(stream: &'a Stream, source: &'a dyn Source, keep: &'a Keep) -> Self {
        let has = |name| stream.configuration.as_ref().is_some_and(|c| c.has_capability(name));
        let layout = Layout { addresses: has("x-ignore-shared"), mapped: false, postcopy: false };
        let page_size = stream.ram.as_ref().map_or(4096, |ram| ram.page_size);
        Self { stream, source, keep, decoder: Decoder::new(page_size, layout), done: Redacted::default() }
    }

    pub(super) fn finish(self) -> Redacted {
        self.done
    }

    /// The new body of a section of RAM.
    pub(super) fn section(&mut self, section: &Section) -> Result<Vec<u8>> {
        if let (true, Some(ram)) = (mapped::is_mapped(self.stream), &self.stream.ram) {
            return match section.kind {
                Kind::Start => mapped::first(ram, self.source, self.keep, section, &mut self.done),
                _ => Ok(mapped::other()),
            };
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
                    let mut kept = read_vec(self.source, cursor.offset(), bytes, bytes, "bytes")?;
                    self.keep.blank(self.page(page), &mut kept);
                    out.bytes(&kept);
                    cursor.skip(bytes)?;
                    self.done.kept += 1;
                }
                Record::Page(_) => {
                    cursor.skip(self.decoder.page_size())?;
                    out.bytes(&as_zero(head, flag::PAGE));
                    out.u8(0);
                    self.done.dropped += 1;
                }
                Record::Xbzrle { page, bytes } if self.keep.pages.contains(&self.page(page)) => {
                    out.bytes(&head);
                    out.bytes(&read_vec(self.source, cursor.offset(), bytes.into(), u64::MAX, "bytes")?);
                    cursor.skip(bytes.into())?;
                    self.done.kept += 1;
                }
                Record::Xbzrle { bytes, .. } => {
                    cursor.skip(bytes.into())?;
                    // Encoding and length, three bytes, end the head; a zero page has a fill byte there.
                    let head = head.get(..head.len().saturating_sub(3)).unwrap_or_default().to_vec();
                    out.bytes(&as_zero(head, flag::XBZRLE));
                    out.u8(0);
                    self.done.dropped += 1;
                }
                Record::MemSize { .. } | Record::Block(_) | Record::Zero(_) | Record::MultifdFlush => {
                    out.bytes(&head);
                }
            }
        }
    }

    fn page(&self, PageAddress { block, offset }: PageAddress) -> Page {
        Page { block, index: offset / self.decoder.page_size() }
    }

    fn keeps(&self, page: PageAddress) -> bool {
        self.keep.has(self.page(page))
    }
}

/// The head of a record of a page, as that of a page of zeros.
fn as_zero(mut head: Vec<u8>, was: u64) -> Vec<u8> {
    if let Some(first) = head.first_chunk_mut::<8>() {
        *first = (u64::from_be_bytes(*first) & !was | flag::ZERO).to_be_bytes();
    }
    head
}
