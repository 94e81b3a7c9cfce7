//! Static descriptions: what a struct looks like on the wire, known without a value.
//!
//! A [`Description`] is made by `#[derive(VmState)]` from the struct itself. The schema listing, the
//! static compatibility check and the error texts read it; nobody writes one by hand twice.

/// A type with a fixed form on the wire.
pub trait Typed {
    /// Its form.
    const TYPE: Type;
}

/// A struct with a description (QEMU: a `VMStateDescription`).
pub trait Described {
    /// Its description.
    const DESCRIPTION: &'static Description;
}

/// Name, versions, fields and subsections of a struct, in wire order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The name, as section headers and subsections write it.
    pub name: &'static str,
    /// What it is: the first paragraph of its documentation.
    pub doc: &'static str,
    /// The version written.
    pub version: u32,
    /// The oldest version read.
    pub minimum_version: u32,
    /// The fields, in wire order.
    pub fields: &'static [FieldDescription],
    /// The subsections, in the order they are saved; they may be loaded in any.
    pub subsections: &'static [SubsectionDescription],
}

/// A subsection of a [`Description`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubsectionDescription {
    /// What it has and when it is there: the first paragraph of its documentation where it is used.
    pub doc: &'static str,
    /// Its struct.
    pub description: &'static Description,
}

/// A field of a [`Description`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDescription {
    /// The field's name.
    pub name: &'static str,
    /// What it means: the first paragraph of its documentation.
    pub doc: &'static str,
    /// Its form on the wire.
    pub ty: Type,
    /// The version it came with; 0: always there.
    pub since: u32,
    /// When it is there, where that does not depend on the version, as a Rust expression.
    pub when: Option<&'static str>,
    /// The limit of its count, where it has one.
    pub max: Option<u64>,
}

/// The form of a field on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A value of `size` bytes; `name` is QEMU's for it: `uint32`, `bool`, `timer`, ….
    Scalar {
        /// QEMU's name.
        name: &'static str,
        /// Bytes.
        size: usize,
    },
    /// Raw bytes, without a length.
    Buffer {
        /// Bytes.
        size: usize,
    },
    /// Bytes that are written as zero and ignored when read.
    Unused {
        /// Bytes.
        size: usize,
    },
    /// Elements back to back.
    Array {
        /// The form of each.
        element: &'static Type,
        /// How many.
        length: Length,
    },
    /// The body of a struct: its fields, then its subsections; no name, no version.
    Struct(&'static Description),
    /// Elements, each after a byte 1; a byte 0 ends them (QEMU: `qtailq`, `qlist`).
    List(&'static Type),
    /// A number of nodes, then key and value of each after a byte 1; a byte 0 ends them (QEMU: `gtree`).
    Tree {
        /// The form of a key.
        key: &'static Type,
        /// The form of a value.
        value: &'static Type,
    },
    /// A byte that says whether there is something, then that.
    Presence(&'static Type),
    /// A form of its own that QEMU does not describe either.
    Opaque {
        /// QEMU's name for it.
        name: &'static str,
    },
}

/// How many elements an array has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Always as many.
    Fixed(usize),
    /// As many as the count in front of them says.
    Prefixed(&'static Type),
    /// As many as fields before it say.
    External,
}

impl Type {
    /// QEMU's name for the form.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scalar { name, .. } | Self::Opaque { name } => name,
            Self::Buffer { .. } => "buffer",
            Self::Unused { .. } => "unused_buffer",
            Self::Array { element, .. } | Self::Presence(element) => element.name(),
            Self::Struct(_) => "struct",
            Self::List(_) => "qtailq",
            Self::Tree { .. } => "gtree",
        }
    }

    /// The bytes it always takes, if that is known without a value.
    #[must_use]
    pub const fn fixed_size(&self) -> Option<usize> {
        match self {
            Self::Scalar { size, .. } | Self::Buffer { size } | Self::Unused { size } => Some(*size),
            Self::Array { element, length: Length::Fixed(count) } => match element.fixed_size() {
                Some(size) => Some(size * *count),
                None => None,
            },
            Self::Struct(description) => description.fixed_size(),
            _ => None,
        }
    }

    /// The fewest bytes it can take: what bounds a count before memory is set aside.
    #[must_use]
    pub const fn minimum_size(&self) -> usize {
        match self {
            Self::Scalar { size, .. } | Self::Buffer { size } | Self::Unused { size } => *size,
            Self::Array { element, length } => match length {
                Length::Fixed(count) => element.minimum_size() * *count,
                Length::Prefixed(count) => count.minimum_size(),
                Length::External => 0,
            },
            Self::Struct(description) => description.minimum_size(),
            Self::List(_) | Self::Presence(_) => 1,
            Self::Tree { .. } => 5,
            Self::Opaque { .. } => 0,
        }
    }
}

impl Description {
    /// Bytes of the body where they do not depend on the value.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a const fn has no iterators; the index is below the length")]
    pub const fn fixed_size(&self) -> Option<usize> {
        if !self.subsections.is_empty() {
            return None;
        }
        let mut total = 0;
        let mut at = 0;
        while at < self.fields.len() {
            let field = &self.fields[at];
            match field.ty.fixed_size() {
                Some(size) if field.since == 0 && field.when.is_none() => total += size,
                _ => return None,
            }
            at += 1;
        }
        Some(total)
    }

    /// Whether the name of each subsection is that of the struct and more: else a reader would not take
    /// it for one of this struct's.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a const fn has no iterators; the index is below the length")]
    pub const fn owns_subsections(&self) -> bool {
        let mut at = 0;
        while at < self.subsections.len() {
            match self.subsections[at].description.name.as_bytes().split_at_checked(self.name.len()) {
                Some((head, [_, ..])) if equal(head, self.name.as_bytes()) => at += 1,
                _ => return false,
            }
        }
        true
    }

    /// The fewest bytes the body can take.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "a const fn has no iterators; the index is below the length")]
    pub const fn minimum_size(&self) -> usize {
        let mut total = 0;
        let mut at = 0;
        while at < self.fields.len() {
            let field = &self.fields[at];
            if field.since == 0 && field.when.is_none() {
                total += field.ty.minimum_size();
            }
            at += 1;
        }
        total
    }
}

/// Whether two slices of the same length hold the same; `==` is not for const fns yet.
const fn equal(mut left: &[u8], mut right: &[u8]) -> bool {
    while let ([l, left_rest @ ..], [r, right_rest @ ..]) = (left, right) {
        if *l != *r {
            return false;
        }
        (left, right) = (left_rest, right_rest);
    }
    true
}
