//! RAM sections written again, with all pages but a few as zero pages.

use virtio::guest::Page;
use vmstate::ram::{Decoder, Encoder, Layout, PageAddress, Record};
use vmstate::source::{Cursor, Source, read_vec};
use vmstate::stream::{Kind, Section, Stream};
use vmstate::{Result, Writer};

use super::{Keep, Redacted, mapped};

/// Writes the RAM sections of a stream again, in order.
pub(super) struct Redactor<'a> {
    stream: &'a Stream,
    source: &'a dyn Source,
    keep: &'a Keep,
    decoder: Decoder,
    encoder: Encoder,
    done: Redacted,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(stream: &'a Stream, source: &'a dyn Source, keep: &'a Keep) -> Self {
        let has = |name| stream.configuration.as_ref().is_some_and(|c| c.has_capability(name));
        let layout = Layout { addresses: has("x-ignore-shared"), mapped: false, postcopy: false };
        let page_size = stream.ram.as_ref().map_or(4096, |ram| ram.page_size);
        let blocks = stream.ram.as_ref().map(|ram| ram.blocks.as_slice()).unwrap_or_default();
        let (decoder, encoder) = (Decoder::new(page_size, layout), Encoder::new(blocks));
        Self { stream, source, keep, decoder, encoder, done: Redacted::default() }
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
            match record {
                Record::EndOfSection => {
                    Encoder::end_of_section(&mut out);
                    return Ok(out.into_bytes());
                }
                Record::Page(page) if self.keeps(page) => {
                    let bytes = self.decoder.page_size();
                    self.encoder.page(page, &mut out);
                    let mut kept = read_vec(self.source, cursor.offset(), bytes, bytes, "bytes")?;
                    self.keep.blank(self.page(page), &mut kept);
                    out.bytes(&kept);
                    cursor.skip(bytes)?;
                    self.done.kept += 1;
                }
                Record::Page(page) => {
                    cursor.skip(self.decoder.page_size())?;
                    self.encoder.zero(page, &mut out);
                    self.done.dropped += 1;
                }
                Record::Xbzrle { page, bytes } if self.keep.pages.contains(&self.page(page)) => {
                    self.encoder.xbzrle(page, bytes, &mut out);
                    out.bytes(&read_vec(self.source, cursor.offset(), bytes.into(), u64::MAX, "bytes")?);
                    cursor.skip(bytes.into())?;
                    self.done.kept += 1;
                }
                Record::Xbzrle { page, bytes } => {
                    cursor.skip(bytes.into())?;
                    self.encoder.zero(page, &mut out);
                    self.done.dropped += 1;
                }
                Record::Zero(page) => self.encoder.zero(page, &mut out),
                Record::MemSize { .. } | Record::Block(_) | Record::MultifdFlush => {
                    let bytes = cursor.offset() - start;
                    out.bytes(&read_vec(self.source, start, bytes, bytes, "bytes")?);
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
