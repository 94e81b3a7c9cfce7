//! Writing a stream again, with some of it replaced.

use std::borrow::Cow;
use std::io::{self, Write};

use super::head::{footer, marker, save_start};
use super::{Command, Head, Kind, Record, Section, Stream, StreamDescription};
use crate::error::Error;
use crate::source::Source;
use crate::writer::Writer;

/// How much is copied at once.
const CHUNK: usize = 128 << 10;

/// Bytes of the command before a package: marker, number, length, and the length of the package.
const PACKAGED_BYTES: u64 = 9;

/// Why a stream could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output does not take it.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] Error),
    /// Mapped RAM has its place in the file, and would come to lie elsewhere.
    #[error(
        "section `{section}` comes before mapped RAM and cannot change its length: {bytes} bytes, \
         expected {expected}"
    )]
    MovesMappedRam {
        /// The section that was replaced.
        section: String,
        /// Bytes of its new body.
        bytes: u64,
        /// Bytes of its body.
        expected: u64,
    },
    /// Mapped RAM has its place in a file in which something comes before the stream.
    #[error(
        "the pages of this mapped-ram stream have places that count from {origin} bytes before it, and \
         would come to lie elsewhere"
    )]
    MappedElsewhere {
        /// Where in its file the stream starts.
        origin: u64,
    },
    /// A length does not fit into the 32 bits it is written in.
    #[error("{what} of {bytes} bytes is too long for the stream")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        bytes: u64,
    },
}

impl Stream {
    /// Writes the stream, without what lies behind it, and with the bodies that `replace` gives in place of
    /// those that were read. `source` must be the one that was scanned.
    ///
    /// With nothing replaced, what is written equals what was read. A stream that could not be read to its
    /// end is written as far as it could be. The description is written as it stands in
    /// [`description`](Self::description): whoever changes the length of a section should change that as
    /// well. QEMU does not mind, but tools go by it.
    ///
    /// # Errors
    /// If the source cannot be read, the output takes no more, or what was replaced cannot be so.
    pub fn write(
        &self,
        source: &dyn Source,
        replace: &mut dyn FnMut(&Section) -> Option<Vec<u8>>,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        let bodies = self.replacements(replace);
        self.check_mapped_ram(source.origin(), &bodies)?;
        let mut head = Writer::new();
        save_start(self.configuration.as_ref(), &mut head);
        out.write_all(head.as_bytes())?;
        for (record, body) in self.records.iter().zip(&bodies) {
            match record {
                Record::Section(section) => section.write_body(body.as_deref(), source, out)?,
                Record::Command { offset, command } => {
                    write_head(Head::Command(self.resized(*offset, command, &bodies)?), out)?;
                }
                Record::Eof { .. } => write_head(Head::Eof, out)?,
            }
        }
        if let Some(description) = self.description.as_ref().filter(|_| self.is_complete()) {
            let mut head = Writer::new();
            description.save_head(&mut head)?;
            out.write_all(head.as_bytes())?;
            out.write_all(&description.json)?;
        }
        Ok(())
    }

    /// The body of each record to be written, where there is one: a new one, or the one that was kept.
    fn replacements<'a>(
        &'a self,
        replace: &mut dyn FnMut(&Section) -> Option<Vec<u8>>,
    ) -> Vec<Option<Cow<'a, [u8]>>> {
        let body = |record: &'a Record| match record {
            Record::Section(section) => {
                replace(section).map(Cow::Owned).or(section.body().map(Cow::Borrowed))
            }
            Record::Command { .. } | Record::Eof { .. } => None,
        };
        self.records.iter().map(body).collect()
    }

    /// The sections that were replaced, with their new bodies.
    fn replaced<'a>(
        &'a self,
        bodies: &'a [Option<Cow<'a, [u8]>>],
    ) -> impl Iterator<Item = (&'a Section, &'a [u8])> {
        self.records.iter().zip(bodies).filter_map(|(record, body)| match (record, body) {
            (Record::Section(section), Some(body)) => Some((section, body.as_ref())),
            _ => None,
        })
    }

    fn check_mapped_ram(&self, origin: u64, bodies: &[Option<Cow<'_, [u8]>>]) -> Result<(), WriteError> {
        let is_mapped = self.ram.iter().flat_map(|ram| &ram.blocks).any(|block| block.mapped.is_some());
        let list = self.sections().filter(|section| section.is_ram() && section.kind == Kind::Start).last();
        let Some(list) = list.filter(|_| is_mapped) else { return Ok(()) };
        if origin > 0 {
            return Err(WriteError::MappedElsewhere { origin });
        }
        let moving = self.replaced(bodies).find(|&(section, body)| {
            section.offset <= list.offset && section.body_bytes != body.len() as u64
        });
        match moving {
            Some((section, body)) => Err(WriteError::MovesMappedRam {
                section: section.name.clone(),
                bytes: body.len() as u64,
                expected: section.body_bytes,
            }),
            None => Ok(()),
        }
    }

    /// A command as it must be now: a package is as long as what is in it.
    fn resized(
        &self,
        offset: u64,
        command: &Command,
        bodies: &[Option<Cow<'_, [u8]>>],
    ) -> Result<Command, WriteError> {
        let Command::Packaged { bytes } = command else { return Ok(command.clone()) };
        let mut now = u64::from(*bytes);
        let start = offset.saturating_add(PACKAGED_BYTES);
        let inside = start..start.saturating_add(now);
        for (section, body) in self.replaced(bodies).filter(|(it, _)| inside.contains(&it.offset)) {
            now = now.saturating_sub(section.body_bytes).saturating_add(body.len() as u64);
        }
        Ok(Command::Packaged { bytes: length("a package", now)? })
    }
}

impl Section {
    /// Writes the section: header, body (the one that was kept, or else from `source`, which must be the one
    /// that was scanned), footer.
    ///
    /// # Errors
    /// If the source cannot be read, or the output takes no more.
    pub fn write(&self, source: &dyn Source, out: &mut dyn Write) -> Result<(), WriteError> {
        self.write_body(self.body(), source, out)
    }

    fn write_body(
        &self,
        body: Option<&[u8]>,
        source: &dyn Source,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        write_head(self.head(), out)?;
        match body {
            Some(body) => out.write_all(body)?,
            None => copy(source, self.body_offset, self.body_bytes, out)?,
        }
        if self.has_footer {
            out.write_all(&footer(self.id))?;
        }
        Ok(())
    }

    /// What stands before its body.
    #[must_use]
    pub fn head(&self) -> Head {
        let Self { kind, id, instance, version, .. } = *self;
        match kind {
            Kind::Start | Kind::Full => {
                Head::Section { kind, id, name: self.name.clone(), instance, version }
            }
            Kind::Part | Kind::End => Head::More { kind, id },
        }
    }
}

impl StreamDescription {
    /// Writes what stands before its JSON text: marker and length.
    ///
    /// # Errors
    /// [`WriteError::TooLong`].
    pub fn save_head(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.u8(marker::DESCRIPTION);
        out.u32(length("a description", self.json.len() as u64)?);
        Ok(())
    }
}

fn write_head(head: Head, out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Writer::new();
    head.save(&mut bytes);
    out.write_all(bytes.as_bytes())
}

fn copy(source: &dyn Source, mut offset: u64, mut left: u64, out: &mut dyn Write) -> Result<(), WriteError> {
    let mut buffer = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let chunk = buffer.get_mut(..count).unwrap_or_default();
        source.read_exact_at(offset, chunk).map_err(|error| Error::new(error.into(), offset))?;
        out.write_all(chunk)?;
        offset += count as u64;
        left -= count as u64;
    }
    Ok(())
}

fn length(what: &'static str, bytes: u64) -> Result<u32, WriteError> {
    u32::try_from(bytes).map_err(|_| WriteError::TooLong { what, bytes })
}
