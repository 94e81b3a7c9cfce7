//! RAM of a mapped-ram stream, written as that of any other: pages one after the other, not each at a place
//! of its own in the file. What is left is little, and need not lie where the file began.

use virtio::guest::Page;
use vmstate::ram::{Content, Encoder, PageAddress, Ram, ReadError};
use vmstate::source::Source;
use vmstate::stream::{Section, Stream};
use vmstate::{Error, ErrorKind, Result, Writer};

use super::{Keep, Redacted};

/// Whether the pages of a stream have places of their own.
pub(super) fn is_mapped(stream: &Stream) -> bool {
    stream.ram.iter().flat_map(|ram| &ram.blocks).any(|block| block.mapped.is_some())
}

/// Says of a stream that its pages have no places of their own any more.
pub(super) fn unmap(stream: &mut Stream) {
    if let Some(configuration) = &mut stream.configuration {
        configuration.set_capability("mapped-ram", false);
    }
    for block in stream.ram.iter_mut().flat_map(|ram| &mut ram.blocks) {
        block.mapped = None;
    }
}

/// The new body of RAM's first section, which has the block list and all pages.
pub(super) fn first(
    ram: &Ram,
    source: &dyn Source,
    keep: &Keep,
    section: &Section,
    done: &mut Redacted,
) -> Result<Vec<u8>> {
    let at = |kind: ErrorKind| Error::new(kind, section.body_offset);
    let mut out = Writer::new();
    let mut blocks = ram.blocks.clone();
    blocks.iter_mut().for_each(|block| block.mapped = None);
    Encoder::block_list(&blocks, &mut out);
    let mut encoder = Encoder::new(&blocks);
    let size = usize::try_from(ram.page_size).map_err(|_| at(ErrorKind::Invalid("page size".into())))?;
    let mut page = vec![0; size];
    for block in 0..blocks.len() {
        let there = ram.runs(block).filter(|run| run.content != Content::Zero);
        for index in there.flat_map(|run| run.first..run.end()) {
            let offset = index * ram.page_size;
            let at_page = Page { block, index };
            if keep.has(at_page) {
                ram.read(source, block, offset, &mut page).map_err(|error| match error {
                    ReadError::Stream(error) => error,
                    error => at(ErrorKind::Invalid(error.to_string().into())),
                })?;
                keep.blank(at_page, &mut page);
                encoder.page(PageAddress { block, offset }, &mut out);
                out.bytes(&page);
                done.kept += 1;
            } else {
                encoder.zero(PageAddress { block, offset }, &mut out);
                done.dropped += 1;
            }
        }
    }
    Encoder::end_of_section(&mut out);
    Ok(out.into_bytes())
}

/// The new body of RAM's other sections, which have nothing.
pub(super) fn other() -> Vec<u8> {
    let mut out = Writer::new();
    Encoder::end_of_section(&mut out);
    out.into_bytes()
}
