//! What went wrong, and where: every failure of this crate is an [`Error`].
//!
//! An error is made where it is noticed, with the offset it was noticed at. On the way out each
//! caller adds the name of what it was reading, so that the whole reads
//! `0000:00:03.0/virtio-net › virtio-net-device › mac_table.in_use at 0x1f3: 65 entries, at most 64`.

use std::borrow::Cow;
use std::fmt;

/// The result of reading a stream.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to read, with its place in the stream.
#[derive(Debug, thiserror::Error)]
pub struct Error(Box<Located>);

#[derive(Debug)]
struct Located {
    kind: ErrorKind,
    offset: u64,
    /// Innermost first: each caller pushes its own name on the way out.
    path: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// A section, struct or subsection: joined by `›`.
    Scope(Cow<'static, str>),
    /// A field of the scope before it.
    Field(Cow<'static, str>),
    /// An element of the array before it.
    Index(usize),
}

/// A stable name for a kind of failure, as in `VM0103`. It never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VM{:04}", self.0)
    }
}

/// What was expected, and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source could not be read.
    #[error("cannot read: {0}")]
    Io(#[from] std::io::Error),
    /// The input ends inside a field.
    #[error("needs {needed} bytes, {left} are left")]
    Truncated {
        /// Bytes the field takes.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },
    /// Bytes are left over after the last field.
    #[error("{left} bytes are left over after the last field")]
    Trailing {
        /// Bytes nothing claims.
        left: u64,
    },
    /// The stream does not begin as a migration stream does.
    #[error("not a migration stream: begins with {found:#010x}, expected 0x5145564d (\"QEVM\")")]
    Magic {
        /// The first four bytes.
        found: u32,
    },
    /// A file version other than 3.
    #[error("stream version {found}, expected 3")]
    StreamVersion {
        /// The version in the header.
        found: u32,
    },
    /// A section version outside the range that is understood.
    #[error("version {found}, expected {minimum} to {version}")]
    Version {
        /// The version in the stream.
        found: u32,
        /// The oldest version understood.
        minimum: u32,
        /// The newest version understood.
        version: u32,
    },
    /// A byte that should say what comes next says nothing known.
    #[error("{what} {found:#x} is unknown, expected {expected}")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// The value found.
        found: u64,
        /// The values that would have made sense.
        expected: &'static str,
    },
    /// A count or length above what the layout allows.
    #[error("{found} {what}, at most {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// The count in the stream.
        found: u64,
        /// The largest count allowed.
        limit: u64,
    },
    /// A field that must equal a known value does not.
    #[error("{found}, expected {expected}")]
    NotEqual {
        /// The value in the stream.
        found: String,
        /// The value it must have.
        expected: String,
    },
    /// A value the layout or the device forbids.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// A subsection that belongs here by its name, and is not known.
    #[error("subsection `{name}` is not known here; known: {known}")]
    UnknownSubsection {
        /// The name in the stream.
        name: String,
        /// The names known, comma-separated.
        known: String,
    },
    /// A subsection came twice.
    #[error("subsection `{name}` comes a second time")]
    RepeatedSubsection {
        /// The name in the stream.
        name: String,
    },
    /// A section does not end with its footer.
    #[error("no section footer: expected 0x7e and section id {expected}, found {found}")]
    Footer {
        /// The id of the section.
        expected: u32,
        /// The five bytes found, in hexadecimal.
        found: String,
    },
    /// The stream uses something that is recognised and not supported.
    #[error("{0} is not supported")]
    Unsupported(Cow<'static, str>),
    /// The JSON description is not usable.
    #[error("the JSON description is not usable: {0}")]
    Description(String),
}

impl ErrorKind {
    /// The stable code of this kind.
    #[must_use]
    pub fn code(&self) -> Code {
        Code(match self {
            Self::Io(_) => 1,
            Self::Truncated { .. } => 2,
            Self::Trailing { .. } => 3,
            Self::Magic { .. } => 10,
            Self::StreamVersion { .. } => 11,
            Self::Version { .. } => 101,
            Self::Unknown { .. } => 102,
            Self::TooMany { .. } => 103,
            Self::NotEqual { .. } => 104,
            Self::Invalid(_) => 105,
            Self::UnknownSubsection { .. } => 106,
            Self::RepeatedSubsection { .. } => 107,
            Self::Footer { .. } => 108,
            Self::Unsupported(_) => 109,
            Self::Description(_) => 110,
        })
    }
}

impl Error {
    /// A failure noticed at `offset` bytes from the start of the stream.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind, offset: u64) -> Self {
        Self(Box::new(Located { kind, offset, path: Vec::new() }))
    }

    /// Adds the section, struct or subsection that was being read.
    #[cold]
    #[must_use]
    pub fn in_scope(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.within(Segment::Scope(name.into()))
    }

    /// Adds the field that was being read.
    #[cold]
    #[must_use]
    pub fn in_field(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.within(Segment::Field(name.into()))
    }

    /// Adds the array element that was being read.
    #[cold]
    #[must_use]
    pub fn at_index(self, index: usize) -> Self {
        self.within(Segment::Index(index))
    }

    fn within(mut self, segment: Segment) -> Self {
        // A struct's scope is named once, also where it is a section's only content.
        let is_named = matches!(segment, Segment::Scope(_)) && self.0.path.last() == Some(&segment);
        if !is_named {
            self.0.path.push(segment);
        }
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The stable code of what went wrong.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.kind.code()
    }

    /// Bytes from the start of the stream to where it was noticed.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Where it went wrong, as `section › struct › field[3]`; empty if nothing was entered yet.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        let mut outer: Option<&Segment> = None;
        for segment in self.0.path.iter().rev() {
            match (outer, segment) {
                (_, Segment::Index(index)) => path.push_str(&format!("[{index}]")),
                (None, Segment::Scope(name) | Segment::Field(name)) => path.push_str(name),
                (Some(Segment::Field(_) | Segment::Index(_)), Segment::Field(name)) => {
                    path.extend([".", name]);
                }
                (Some(_), Segment::Scope(name) | Segment::Field(name)) => path.extend([" › ", name]),
            }
            outer = Some(segment);
        }
        path
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path} ")?;
        }
        write!(f, "at {:#x}: {}", self.0.offset, self.0.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_and_what() {
        let error = Error::new(ErrorKind::TooMany { what: "entries", found: 65, limit: 64 }, 0x1f3)
            .in_field("in_use")
            .in_field("mac_table")
            .in_scope("virtio-net-device")
            .in_scope("0000:00:03.0/virtio-net");
        assert_eq!(
            error.to_string(),
            "0000:00:03.0/virtio-net › virtio-net-device › mac_table.in_use at 0x1f3: 65 entries, at most 64"
        );
        assert_eq!(error.code().to_string(), "VM0103");
    }

    #[test]
    fn names_array_elements() {
        let error =
            Error::new(ErrorKind::Truncated { needed: 4, left: 1 }, 7).at_index(2).in_field("scanouts");
        assert_eq!(error.to_string(), "scanouts[2] at 0x7: needs 4 bytes, 1 are left");
    }

    #[test]
    fn names_a_scope_once_and_every_field() {
        let error = |kind| Error::new(kind, 7);
        let path = error(ErrorKind::Trailing { left: 1 })
            .in_field("config")
            .in_field("config")
            .in_scope("virtio-pci")
            .in_scope("virtio-pci")
            .path();
        assert_eq!(path, "virtio-pci › config.config");
        let path = error(ErrorKind::Trailing { left: 1 })
            .in_scope("virtqueue")
            .at_index(0)
            .at_index(0)
            .in_field("queues")
            .at_index(3)
            .path();
        assert_eq!(path, "[3].queues[0][0] › virtqueue");
    }
}
