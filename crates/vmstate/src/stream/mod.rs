//! The whole stream: header, configuration, sections, commands, description.
//!
//! | what | wire |
//! | --- | --- |
//! | header | be32 "QEVM", be32 3 |
//! | configuration | `07`, body of [`Configuration`] |
//! | sections and commands, in any order | see [`Head`]; after a section its footer: `7e`, be32 id |
//! | end | `00` |
//! | description | `06`, be32 length, JSON |
//!
//! A section does not say how long it is: whoever can load it knows. [`Stream::scan`] cannot load every
//! device there is, and finds the ends of the sections all the same: from the description at the end of
//! the stream, which lists the sizes of all fields; where that does not help, from the footer, which is
//! the section's id after a marker. Footers came with QEMU 2.4 and can be switched off; the first section
//! whose end is known shows whether there are any.
//!
//! ```no_run
//! use vmstate::source::FileSource;
//! use vmstate::stream::Stream;
//!
//! let source = FileSource::new(std::fs::File::open("guest.mig")?)?;
//! let scan = Stream::scan(&source, &mut |_offset| {});
//! for section in scan.stream.sections() {
//!     println!("{:#x} {} {}", section.offset, section.name, section.body_bytes);
//! }
//! if let Some(error) = scan.stopped {
//!     println!("that is all that could be read: {error}");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod command;
mod configuration;
mod description;
mod footer;
mod head;
mod scan;
mod section;
mod write;

pub use command::{Command, PageSizes, RamDiscard};
pub use configuration::{Capabilities, Capability, Configuration, TargetPageBits, Uuid};
pub use description::StreamDescription;
pub use footer::{Following, Started};
pub use head::{Head, MAGIC, VERSION, footer, load_header, load_start, save_header, save_start};
pub use section::{Boundary, Kind, Section};
pub use write::WriteError;

use crate::error::Error;
use crate::ram::Ram;

/// A stream, as far as it could be read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stream {
    /// The version in the header.
    pub version: u32,
    /// Which machine it is of; `None` if that was switched off, as by very old machine types.
    pub configuration: Option<Configuration>,
    /// Sections and commands, in order; those that are there to their end.
    pub records: Vec<Record>,
    /// The RAM, if there is any.
    pub ram: Option<Ram>,
    /// The JSON description, if there is one.
    pub description: Option<StreamDescription>,
    /// Bytes of the stream; of one that is not complete, those before what could not be read.
    pub bytes: u64,
    /// Bytes that follow the stream; 0 if it is not complete.
    pub trailing: u64,
}

/// What a stream is made of, after its head.
#[derive(Debug, Clone)]
pub enum Record {
    /// A section.
    Section(Section),
    /// A command.
    Command {
        /// Bytes from the start of the stream to its marker.
        offset: u64,
        /// The command.
        command: Command,
    },
    /// The end of the guest's state.
    Eof {
        /// Bytes from the start of the stream to the marker.
        offset: u64,
    },
}

/// What scanning gives: all that could be read, and what ended it.
#[derive(Debug)]
pub struct Scan {
    /// What could be read.
    pub stream: Stream,
    /// What ended it early, if something did. A stream that is cut in its description has all its
    /// sections, and QEMU loads it.
    pub stopped: Option<Error>,
}

impl Stream {
    /// The sections, in order.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.records.iter().filter_map(|record| match record {
            Record::Section(section) => Some(section),
            Record::Command { .. } | Record::Eof { .. } => None,
        })
    }

    /// The first section of this name and instance.
    #[must_use]
    pub fn section(&self, name: &str, instance: u32) -> Option<&Section> {
        self.sections().find(|section| section.name == name && section.instance == instance)
    }

    /// Whether the guest's state is there to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.records.last(), Some(Record::Eof { .. }))
    }
}
