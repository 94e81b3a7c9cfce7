//! A mapped-ram stream of any size, made of a recorded one: a sparse file.
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use vmstate::ram::Content;
use vmstate::source::Source;
use vmstate::stream::{Record, Stream};

/// What follows the machine type: the capability `mapped-ram`.
const CAPABILITIES: &[u8] = b"\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0amapped-ram";
const PAGE: u64 = 4096;

/// Writes `source` as a mapped-ram stream whose largest block has `bytes` bytes.
pub(crate) fn write(source: &dyn Source, bytes: u64, path: &Path) {
    let stream = Stream::scan(source, &mut |_| ()).stream;
    let ram = stream.ram.as_ref().unwrap();
    let machine = stream.configuration.as_ref().unwrap().machine();
    let largest = ram.blocks.iter().map(|block| block.bytes).max().unwrap();
    let size = |block: u64| if block == largest { bytes } else { block };

    let file = File::create(path).unwrap();
    let mut head = b"QEVM\0\0\0\x03\x07".to_vec();
    head.extend(u32::try_from(machine.len()).unwrap().to_be_bytes());
    head.extend([machine.as_bytes(), CAPABILITIES, b"\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04"].concat());
    let total: u64 = ram.blocks.iter().map(|block| size(block.bytes)).sum();
    head.extend((total | 4).to_be_bytes());
    let mut at = 0;
    for (index, block) in ram.blocks.iter().enumerate() {
        let pages = size(block.bytes) / PAGE;
        let mut bitmap = vec![0_u8; usize::try_from(pages.div_ceil(64) * 8).unwrap()];
        head.push(u8::try_from(block.name.len()).unwrap());
        head.extend(block.name.as_bytes());
        head.extend((pages * PAGE).to_be_bytes());
        head.extend(1_u32.to_be_bytes());
        head.extend(PAGE.to_be_bytes());
        let bitmap_at = at + head.len() as u64 + 16;
        let pages_at = (bitmap_at + bitmap.len() as u64).next_multiple_of(1 << 20);
        head.extend([bitmap_at.to_be_bytes(), pages_at.to_be_bytes()].concat());
        for run in ram.runs(index).filter(|run| run.content != Content::Zero) {
            for page in run.first..run.end() {
                bitmap[usize::try_from(page / 8).unwrap()] |= 1 << (page % 8);
                let mut content = [0; 4096];
                ram.read(source, index, page * PAGE, &mut content).unwrap();
                file.write_all_at(&content, pages_at + page * PAGE).unwrap();
            }
        }
        file.write_all_at(&head, at).unwrap();
        file.write_all_at(&bitmap, bitmap_at).unwrap();
        head.clear();
        at = pages_at + pages * PAGE;
    }
    // The section's end, and the section that ends RAM.
    let end = b"\0\0\0\0\0\0\0\x10\x7e\0\0\0\x02";
    let mut tail = [&end[..], b"\x03\0\0\0\x02", end].concat();
    for record in &stream.records {
        match record {
            Record::Section(section) if section.name != "ram" => {
                let footer = if section.has_footer { 5 } else { 0 };
                tail.extend(part(source, section.offset, section.body_offset + section.body_bytes + footer));
            }
            Record::Eof { offset } => tail.extend(part(source, *offset, source.len())),
            _ => {}
        }
    }
    file.write_all_at(&tail, at).unwrap();
}

fn part(source: &dyn Source, start: u64, end: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
    source.read_exact_at(start, &mut bytes).unwrap();
    bytes
}
