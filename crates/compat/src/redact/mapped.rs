//! RAM of a mapped-ram stream, written as that of any other: pages one after the other, not each at a place
//! of its own in the file. What is left is little, and need not lie where the file began.

use virtio::guest::Page;
use vmstate::ram::{Content, Ram, ReadError};
use vmstate::source::Source;
use vmstate::stream::{Section, Stream};
use vmstate::{Error, ErrorKind, Result, Writer};

use super::ram::flag;
use super::{Keep, Redacted};

/// The capability, as the configuration names it.
const CAPABILITY: &[u8] = b"mapped-ram";

/// Whether the pages of a stream have places of their own.
pub(super) fn is_mapped(stream: &Stream) -> bool {
    stream.ram.iter().flat_map(|ram| &ram.blocks).any(|block| block.mapped.is_some())
}

/// Says of a stream that its pages have no places of their own any more.
pub(super) fn unmap(stream: &mut Stream) {
    if let Some(configuration) = &mut stream.configuration
        && let Some(capabilities) = &mut configuration.capabilities
    {
        capabilities.capabilities.retain(|capability| capability.name.as_slice() != CAPABILITY);
        capabilities.caps_count = u32::try_from(capabilities.capabilities.len()).unwrap_or(u32::MAX);
        if capabilities.caps_count == 0 {
            configuration.capabilities = None;
        }
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
    out.u64(ram.bytes | flag::MEM_SIZE);
    for block in &ram.blocks {
        out.name(&block.name);
        out.u64(block.bytes);
        block.address.into_iter().for_each(|address| out.u64(address));
    }
    let size = usize::try_from(ram.page_size).map_err(|_| at(ErrorKind::Invalid("page size".into())))?;
    let mut page = vec![0; size];
    for (block, info) in ram.blocks.iter().enumerate() {
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
                out.u64(offset | flag::PAGE);
                out.name(&info.name);
                out.bytes(&page);
                done.kept += 1;
            } else {
                out.u64(offset | flag::ZERO);
                out.name(&info.name);
                out.u8(0);
                done.dropped += 1;
            }
        }
    }
    out.u64(flag::EOS);
    Ok(out.into_bytes())
}

/// The new body of RAM's other sections, which have nothing.
pub(super) fn other() -> Vec<u8> {
    flag::EOS.to_be_bytes().to_vec()
}
