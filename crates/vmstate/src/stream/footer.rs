//! The end of a section of which nothing else is known: its footer.

use std::collections::HashMap;
use std::ops::Range;

use super::description;
use super::head::{Head, footer};
use crate::error::{ErrorKind, Result};
use crate::reader::Reader;
use crate::source::{Source, read_vec};

/// How much is searched at once, at first and at most: most sections are short.
const CHUNKS: (u64, u64) = (16 << 10, 1 << 20);
/// How much is looked at behind a footer: room for all heads but those of the longest commands.
const LOOK: u64 = 512;
/// Versions of sections are small numbers.
const LARGEST_VERSION: u32 = 0xffff;

/// A section of which further parts may come.
#[derive(Debug, Clone)]
pub struct Started {
    /// Its name.
    pub name: String,
    /// Which of several of that name.
    pub instance: u32,
    /// The version of its body.
    pub version: u32,
}

/// What is known of what may follow a section, and so shows where one of unknown length ends.
#[derive(Debug, Clone, Default)]
pub struct Following {
    /// The sections that were started, by id.
    pub started: HashMap<u32, Started>,
    /// Where the description is, in bytes from the start of the stream, if that is known.
    pub description: Option<u64>,
}

impl Following {
    /// Whether what lies at `offset` can follow a section. What is cut there can.
    pub(super) fn is_at(&self, source: &dyn Source, offset: u64) -> Result<bool> {
        let length = source.len().saturating_sub(offset).min(LOOK);
        let bytes = read_vec(source, offset, length, LOOK, "bytes")?;
        let mut input = Reader::new(&bytes, offset);
        Ok(match Head::load(&mut input) {
            Ok(Head::Eof) => match self.description {
                Some(at) => at == input.offset() || description::announced(input.peek()).is_some(),
                None => true,
            },
            Ok(Head::Section { name, version, .. }) => {
                let printable = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
                printable && !name.is_empty() && version <= LARGEST_VERSION
            }
            Ok(Head::More { id, .. }) => self.started.contains_key(&id),
            Ok(Head::Command(_)) => true,
            Err(error) => matches!(error.kind(), ErrorKind::Truncated { .. }),
        })
    }

    /// The first place in `range` where the footer of section `id` stands, and behind it something that can
    /// follow it, or nothing.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn find_footer(&self, source: &dyn Source, range: Range<u64>, id: u32) -> Result<Option<u64>> {
        let footer = footer(id);
        let overlap = footer.len() as u64 - 1;
        let finder = memchr::memmem::Finder::new(&footer);
        let (mut chunk, largest) = CHUNKS;
        let mut start = range.start;
        while start < range.end {
            let length = chunk.min(source.len().saturating_sub(start));
            let bytes = read_vec(source, start, length, u64::MAX, "bytes")?;
            for at in finder.find_iter(&bytes) {
                let at = start + at as u64;
                if range.contains(&at) && self.is_at(source, at + footer.len() as u64)? {
                    return Ok(Some(at));
                }
            }
            if length < chunk {
                break;
            }
            start += length - overlap;
            chunk = (chunk * 2).min(largest);
        }
        Ok(None)
    }
}
