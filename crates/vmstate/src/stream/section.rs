//! Sections: header, body, footer.

use std::fmt;

/// The name of RAM's sections.
pub(super) const RAM: &str = "ram";

/// A section. Its header and footer are not part of the body.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Section {
    /// Whether it is whole, or a part of something sent in several.
    pub kind: Kind,
    /// The number the source gave it; parts and footers repeat it.
    pub id: u32,
    /// Its name (idstr). A part has it from the first one, as it has instance and version.
    pub name: String,
    /// Which of several of that name.
    pub instance: u32,
    /// The version of its body.
    pub version: u32,
    /// Bytes from the start of the stream to its first.
    pub offset: u64,
    /// Bytes from the start of the stream to its body.
    pub body_offset: u64,
    /// Bytes of its body.
    pub body_bytes: u64,
    /// Whether a footer follows the body.
    pub has_footer: bool,
    /// How the end of the body was found.
    pub boundary: Boundary,
    pub(super) body: Option<Vec<u8>>,
}

/// The kinds of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first part of something sent in several.
    Start,
    /// A part in between.
    Part,
    /// The last part.
    End,
    /// The whole.
    Full,
}

/// How the end of a body was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// The content says where it ends (RAM).
    Content,
    /// The JSON description says how long it is.
    Description,
    /// By searching for the footer. The body may itself hold such bytes, but then nothing follows them
    /// that could be the next record.
    Footer,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Part => "part",
            Self::End => "end",
            Self::Full => "full",
        })
    }
}

impl Section {
    /// The body, if it was kept: that of every whole section but RAM. What is sent in several parts can be
    /// as large as a disk; [`read_vec`](crate::source::read_vec) reads it where it lies.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// Puts another body in place of the one that was read. Offset and length still say what was read.
    pub fn replace_body(&mut self, body: Vec<u8>) {
        self.body = Some(body);
    }

    /// Bytes from the start of the stream to the end of the body.
    #[must_use]
    pub fn body_end(&self) -> u64 {
        self.body_offset.saturating_add(self.body_bytes)
    }

    /// Whether it carries RAM.
    #[must_use]
    pub fn is_ram(&self) -> bool {
        self.name == RAM
    }
}
