//! Reading a stream: each piece in turn, and where the next one begins.

use std::collections::HashMap;

use super::description;
use super::footer::{Following, Started};
use super::head::{footer, load_header, marker};
use super::section::RAM;
use super::{
    Boundary, Command, Configuration, Head, Kind, Record, Scan, Section, Stream, StreamDescription, VERSION,
};
use crate::VmState;
use crate::error::{Error, ErrorKind, Result};
use crate::ram::{Indexer, Layout};
use crate::reader::Reader;
use crate::source::{Cursor, Source, read_vec};

/// Bits of a target page, where the stream does not say. All machines of an architecture with another
/// size say it.
const USUAL_PAGE_BITS: u32 = 12;
/// The sizes that target pages have, as powers of two: a page has room for the flags of RAM records below
/// its address.
const PAGE_BITS: std::ops::RangeInclusive<u32> = 10..=24;

/// The version of RAM's sections.
const RAM_VERSION: u32 = 4;
/// Bytes of a footer.
const FOOTER_BYTES: u64 = 5;
/// The most bytes of one section that are held in memory: far above any device's state.
const LARGEST_BODY: u64 = 1 << 30;
/// More than the longest configuration.
const LONGEST_CONFIGURATION: u64 = 64 << 10;

impl Stream {
    /// Reads what there is of a stream, and calls `progress` with the offset now and then.
    ///
    /// RAM is indexed, not read; of what else is sent in several parts only the places are noted.
    pub fn scan(source: &dyn Source, progress: &mut dyn FnMut(u64)) -> Scan {
        let mut scanner = Scanner::new(source, progress);
        let stopped = scanner.run().err();
        Scan { stream: scanner.finish(), stopped }
    }
}

struct Scanner<'a> {
    cursor: Cursor<'a>,
    progress: &'a mut dyn FnMut(u64),
    /// The description, found ahead.
    description: Option<StreamDescription>,
    /// Bytes of the bodies it describes, by name and instance.
    sizes: HashMap<(String, u32), u64>,
    following: Following,
    /// Whether sections have footers, once that is known.
    footers: Option<bool>,
    ram: Option<Indexer>,
    postcopy: bool,
    stream: Stream,
}

/// Where a body ends.
struct End {
    offset: u64,
    has_footer: bool,
    boundary: Boundary,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a dyn Source, progress: &'a mut dyn FnMut(u64)) -> Self {
        let description = description::find(source);
        let devices = description.iter().flat_map(|found| &found.desc.devices);
        let sizes = devices
            .filter_map(|device| Some(((device.name.clone(), device.instance_id), device.body_size()?)));
        Self {
            cursor: Cursor::new(source, 0),
            progress,
            sizes: sizes.collect(),
            following: Following {
                started: HashMap::new(),
                description: description.as_ref().map(StreamDescription::marker_offset),
            },
            description,
            footers: None,
            ram: None,
            postcopy: false,
            stream: Stream::default(),
        }
    }

    fn run(&mut self) -> Result<()> {
        self.cursor.read(load_header)?;
        self.stream.version = VERSION;
        self.stream.bytes = self.cursor.offset();
        self.configuration()?;
        loop {
            self.stream.bytes = self.cursor.offset();
            (self.progress)(self.stream.bytes);
            if self.record()? {
                break;
            }
        }
        self.load_description()
    }

    fn finish(self) -> Stream {
        let mut stream = self.stream;
        if stream.is_complete() {
            stream.trailing = self.cursor.source().len().saturating_sub(stream.bytes);
        } else {
            // It was not reached, and still describes the sections that were.
            stream.description = self.description;
        }
        stream.ram = self.ram.map(Indexer::finish);
        stream
    }

    fn configuration(&mut self) -> Result<()> {
        if self.cursor.peek_u8()? == Some(marker::CONFIGURATION) {
            self.cursor.skip(1)?;
            // Whether a subsection follows shows only in what is there, so all of it must be.
            let offset = self.cursor.offset();
            let length = self.cursor.left().min(LONGEST_CONFIGURATION);
            let bytes = read_vec(self.cursor.source(), offset, length, length, "bytes")?;
            let mut input = Reader::new(&bytes, offset);
            // No version is written.
            self.stream.configuration = Some(Configuration::load_body(&mut input, 0, &())?);
            self.cursor.seek(input.offset());
        }
        Ok(())
    }

    /// Reads a section or command; `true` if it was the end.
    fn record(&mut self) -> Result<bool> {
        let offset = self.cursor.offset();
        let record = match self.cursor.read(Head::load)? {
            Head::Eof => Record::Eof { offset },
            Head::Command(command) => {
                self.obey(&command);
                Record::Command { offset, command }
            }
            Head::Section { kind, id, name, instance, version } => {
                let started = Started { name, instance, version };
                if kind == Kind::Start {
                    self.following.started.insert(id, started.clone());
                }
                Record::Section(self.section(kind, id, offset, started)?)
            }
            Head::More { kind, id } => {
                let Some(started) = self.following.started.get(&id).cloned() else {
                    let text = format!("a further part of section {id}, which was not started");
                    return Err(Error::new(ErrorKind::Invalid(text.into()), offset));
                };
                Record::Section(self.section(kind, id, offset, started)?)
            }
        };
        let is_eof = matches!(record, Record::Eof { .. });
        self.stream.records.push(record);
        Ok(is_eof)
    }

    /// Does what a command asks for, as far as it changes what the stream holds.
    fn obey(&mut self, command: &Command) {
        match command {
            Command::PostcopyAdvise(sizes) => self.postcopy = sizes.is_some(),
            Command::PostcopyRamDiscard(discard) => {
                if let Some(ram) = &mut self.ram {
                    ram.discard(&discard.block, &discard.ranges);
                }
            }
            _ => {}
        }
    }

    fn section(&mut self, kind: Kind, id: u32, offset: u64, what: Started) -> Result<Section> {
        let Started { name, instance, version } = what;
        let in_section = |error: Error| error.in_scope(name.clone());
        let body_offset = self.cursor.offset();
        let end = match name.as_str() {
            RAM => self.ram_end(id, version),
            _ => self.device_end(kind, id, (&name, instance)),
        }
        .map_err(in_section)?;
        let body_bytes = end.offset - body_offset;
        let body = match kind {
            Kind::Full if name != RAM => {
                let source = self.cursor.source();
                let what = "bytes of state in one section";
                Some(read_vec(source, body_offset, body_bytes, LARGEST_BODY, what).map_err(in_section)?)
            }
            _ => None,
        };
        let End { has_footer, boundary, .. } = end;
        self.cursor.seek(end.offset + if has_footer { FOOTER_BYTES } else { 0 });
        Ok(Section {
            kind,
            id,
            name,
            instance,
            version,
            offset,
            body_offset,
            body_bytes,
            has_footer,
            boundary,
            body,
        })
    }

    /// Indexes the RAM of a section, and so finds its end.
    fn ram_end(&mut self, id: u32, version: u32) -> Result<End> {
        if version != RAM_VERSION {
            let kind = ErrorKind::Version { found: version, minimum: RAM_VERSION, version: RAM_VERSION };
            return Err(Error::new(kind, self.cursor.offset()));
        }
        let (page_size, layout) = (self.page_size(), self.layout());
        let ram = self.ram.get_or_insert_with(|| Indexer::new(page_size, layout));
        ram.section(&mut self.cursor, self.progress)?;
        let offset = self.cursor.offset();
        match self.footer_at(offset, offset, id)? {
            Some(has_footer) => Ok(End { offset, has_footer, boundary: Boundary::Content }),
            None => Err(self.no_footer(offset, id)),
        }
    }

    /// Finds the end of any other section.
    fn device_end(&mut self, kind: Kind, id: u32, name: (&str, u32)) -> Result<End> {
        let start = self.cursor.offset();
        let described = match kind {
            Kind::Start | Kind::Full => self.sizes.get(&(name.0.to_owned(), name.1)).copied(),
            Kind::Part | Kind::End => None,
        };
        let expected = described.and_then(|bytes| start.checked_add(bytes));
        if let Some(offset) = expected
            && let Some(has_footer) = self.footer_at(start, offset, id)?
        {
            return Ok(End { offset, has_footer, boundary: Boundary::Description });
        }
        if self.footers != Some(false)
            && let Some(offset) = self.following.find_footer(self.cursor.source(), start..u64::MAX, id)?
        {
            return Ok(End { offset, has_footer: true, boundary: Boundary::Footer });
        }
        Err(self.no_footer(expected.unwrap_or(u64::MAX), id))
    }

    /// Whether a section whose body is said to reach from `start` to `end` has a footer; `None` if it cannot
    /// end there.
    fn footer_at(&mut self, start: u64, end: u64, id: u32) -> Result<Option<bool>> {
        let source = self.cursor.source();
        if end > source.len() {
            return Ok(None);
        }
        let footer = footer(id);
        let found = self.bytes_at(end)?;
        if self.footers != Some(false) && found.len() < footer.len() && footer.starts_with(&found) {
            let (needed, left) = (FOOTER_BYTES, found.len() as u64);
            return Err(Error::new(ErrorKind::Truncated { needed, left }, end).in_field("footer"));
        }
        let has_footer = match self.footers {
            Some(has_footer) => has_footer,
            None if found == footer => true,
            // It has none, or the end is wrong: then the footer is nearer.
            None => self.following.find_footer(source, start..end, id)?.is_some(),
        };
        let can_end = if has_footer { found == footer } else { self.following.is_at(source, end)? };
        Ok(can_end.then(|| *self.footers.insert(has_footer)))
    }

    /// Up to as many bytes as a footer has.
    fn bytes_at(&self, offset: u64) -> Result<Vec<u8>> {
        let source = self.cursor.source();
        let length = source.len().saturating_sub(offset).min(FOOTER_BYTES);
        read_vec(source, offset, length, FOOTER_BYTES, "bytes")
    }

    fn no_footer(&self, offset: u64, id: u32) -> Error {
        let (offset, found) = match self.bytes_at(offset) {
            Ok(bytes) if !bytes.is_empty() => (offset, hex::encode(bytes)),
            Ok(_) => (self.cursor.source().len(), "the end of the stream".to_owned()),
            Err(error) => return error,
        };
        Error::new(ErrorKind::Footer { expected: id, found }, offset)
    }

    /// Reads what follows the guest's state.
    fn load_description(&mut self) -> Result<()> {
        let offset = self.cursor.offset();
        self.stream.bytes = offset;
        let found = match self.description.take_if(|found| found.marker_offset() == offset) {
            Some(found) => Some(found),
            None => description::load(&mut self.cursor).map_err(|error| {
                // What is damaged is not something else's.
                self.stream.bytes = self.cursor.source().len();
                error.in_scope("JSON description")
            })?,
        };
        if let Some(found) = &found {
            self.stream.bytes = found.end();
        }
        self.stream.description = found;
        Ok(())
    }

    /// Bytes of a target page.
    fn page_size(&self) -> u64 {
        let described = self.description.as_ref().map(|found| found.desc.page_size);
        let configured = self.stream.configuration.as_ref().and_then(Configuration::page_size);
        let sizes = described.into_iter().chain(configured);
        let mut usable =
            sizes.filter(|size| size.is_power_of_two() && PAGE_BITS.contains(&size.trailing_zeros()));
        usable.next().unwrap_or(1 << USUAL_PAGE_BITS)
    }

    fn layout(&self) -> Layout {
        let has = |name| self.stream.configuration.as_ref().is_some_and(|it| it.has_capability(name));
        Layout { addresses: has("x-ignore-shared"), mapped: has("mapped-ram"), postcopy: self.postcopy }
    }
}
