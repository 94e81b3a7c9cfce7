//! What would break a migration from one description to another.
//!
//! A reader takes fields one after the other and has only its own description to go by: a field more or less
//! moves all that follows. Which fields there are depends on versions. The version of a section or subsection
//! is in the stream, so both sides go by the writer's; that of a struct inside is not, so each side goes by
//! its own.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::model::{Count, Field, Schema, SchemaSection, Source, Struct};

/// What a comparison in one direction finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// How many sections both sides describe.
    pub compared: usize,
    /// What is different, in the order of the writer's sections.
    pub differences: Vec<Difference>,
    /// Sections of the writer of which the reader's description cannot say anything.
    pub not_compared: Vec<String>,
}

/// A difference between writer and reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The section.
    pub section: String,
    /// QEMU's names of the device types that have it, from a dump.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Where in it: structs, fields and subsections from the outside in.
    pub path: String,
    /// What comes of it.
    pub effect: Effect,
    /// What is different, and why that matters.
    pub reason: String,
}

/// What comes of a difference, for a machine that has the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing: the bytes are the same.
    Harmless,
    /// The load fails if something is so that the descriptions do not say.
    MayBreak,
    /// The load fails, or goes on with wrong values.
    Breaks,
}

impl Schema {
    /// What would break a migration from here onto `reader`.
    #[must_use]
    pub fn onto(&self, reader: &Self) -> Comparison {
        let counterparts = Counterparts::new(reader);
        let mut this = Comparison { compared: 0, differences: Vec::new(), not_compared: Vec::new() };
        let (mut places, mut alone) = (HashMap::new(), HashSet::new());
        for section in &self.sections {
            let mut walk = Walk { section, writer: self.source, path: Vec::new(), found: Vec::new() };
            match counterparts.of(section) {
                Some(counterpart) => {
                    this.compared += 1;
                    walk.versioned(&section.body, &counterpart.body);
                }
                None if (self.source, reader.source) == (Source::Dump, Source::Dump) => walk.add(
                    Effect::Breaks,
                    "the section is missing at the destination: it refuses a machine with such a device (Unknown \
                     savevm section or instance)"
                        .to_owned(),
                ),
                // Neither a dump nor vmig has every section there is.
                None if alone.insert(section.body.name.as_str()) => {
                    this.not_compared.push(section.body.name.clone());
                }
                None => {}
            }
            for difference in walk.found {
                // Several device types have the same section, and the same difference.
                let key = (difference.path.clone(), difference.reason.clone(), difference.section.clone());
                let place = *places.entry(key).or_insert(this.differences.len());
                match this.differences.get_mut(place) {
                    Some(other) => other.types.extend(difference.types),
                    None => this.differences.push(difference),
                }
            }
        }
        this
    }

    /// Leaves the sections that have this name or are of this device type.
    pub fn select(&mut self, name: &str) {
        self.sections.retain(|section| section.is_called(name));
    }
}

impl SchemaSection {
    /// Whether it has this name or is of this device type.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.body.name == name || self.device_type.as_deref() == Some(name)
    }
}

impl Comparison {
    /// Whether nothing is found that breaks, or may break, a migration.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.differences.iter().all(|difference| difference.effect == Effect::Harmless)
    }
}

/// The sections of the reader, by what they are found by.
struct Counterparts<'s> {
    by_type: HashMap<&'s str, &'s SchemaSection>,
    by_name: HashMap<&'s str, &'s SchemaSection>,
}

impl<'s> Counterparts<'s> {
    fn new(reader: &'s Schema) -> Self {
        let typed = |section: &'s SchemaSection| Some((section.device_type.as_deref()?, section));
        let by_type = reader.sections.iter().filter_map(typed).collect();
        // Of several types with the same section, the first.
        let by_name =
            reader.sections.iter().rev().map(|section| (section.body.name.as_str(), section)).collect();
        Self { by_type, by_name }
    }

    /// The section of the same device type, or else of the same name.
    fn of(&self, section: &SchemaSection) -> Option<&'s SchemaSection> {
        let by_type = section.device_type.as_deref().and_then(|device_type| self.by_type.get(device_type));
        by_type.or_else(|| self.by_name.get(section.body.name.as_str())).copied()
    }
}

/// How many fields ahead one is looked for; real structs have fewer.
const AHEAD: usize = 512;

/// A walk through a section of both sides.
struct Walk<'s> {
    section: &'s SchemaSection,
    writer: Source,
    path: Vec<String>,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn add(&mut self, effect: Effect, reason: String) {
        self.found.push(Difference {
            section: self.section.body.name.clone(),
            types: self.section.device_type.iter().cloned().collect(),
            path: self.path.join(" › "),
            effect,
            reason,
        });
    }

    fn within(&mut self, name: &str, walk: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        walk(self);
        self.path.pop();
    }

    /// A section or subsection: its version is in the stream.
    fn versioned(&mut self, written: &Struct, read: &Struct) {
        if written.name != read.name {
            let (written, read) = (&written.name, &read.name);
            self.add(
                Effect::Breaks,
                format!("the section is called `{written}`, and `{read}` at the destination"),
            );
            return;
        }
        let version = written.version;
        if version > read.version {
            let newest = read.version;
            self.add(
                Effect::Breaks,
                format!("version {version} is too new: the destination reads up to {newest}"),
            );
            return;
        }
        if version < read.minimum_version {
            let oldest = read.minimum_version;
            self.add(
                Effect::Breaks,
                format!("version {version} is too old: the destination reads from {oldest}"),
            );
            return;
        }
        self.body(written, version, read, version);
    }

    /// Fields, then subsections, of the versions that each side goes by.
    fn body(&mut self, written: &Struct, written_version: u32, read: &Struct, read_version: u32) {
        let there = |fields: &'_ [Field], version: u32| -> Vec<Field> {
            let there = |field: &&Field| field.when.is_some() || field.since <= version;
            fields.iter().filter(there).cloned().collect()
        };
        let (fields, expected) = (there(&written.fields, written_version), there(&read.fields, read_version));
        match (fields.as_slice(), expected.as_slice()) {
            ([_, ..], []) if read.subsections.is_empty() => {
                let reason = "the destination describes no fields: it does not migrate such a device";
                return self.add(Effect::Breaks, reason.to_owned());
            }
            ([], [_, ..]) if written.subsections.is_empty() => {
                let reason = "no fields are described here: such a device is not migrated, or has none";
                return self.add(Effect::MayBreak, reason.to_owned());
            }
            _ => self.fields(&fields, &expected),
        }
        for subsection in &written.subsections {
            match read.subsections.iter().find(|known| known.name == subsection.name) {
                Some(known) => self.within(&subsection.name, |walk| walk.versioned(subsection, known)),
                None => {
                    let (effect, when) = match self.writer {
                        Source::Stream => (Effect::Breaks, "it is there"),
                        Source::Dump | Source::Vmig => {
                            (Effect::MayBreak, "where it is needed, the load fails")
                        }
                    };
                    let reason = format!("the destination does not know the subsection: {when}");
                    self.within(&subsection.name, |walk| walk.add(effect, reason));
                }
            }
        }
    }

    fn fields(&mut self, mut written: &[Field], mut read: &[Field]) {
        loop {
            match (written, read) {
                ([], []) => return,
                ([only, rest @ ..], []) => {
                    self.only_written(only);
                    written = rest;
                }
                ([], [only, rest @ ..]) => {
                    self.only_read(only);
                    read = rest;
                }
                ([w, w_rest @ ..], [r, r_rest @ ..]) => {
                    let read_later = r_rest.iter().take(AHEAD).any(|r| w.is_called_as(r));
                    let written_later = w_rest.iter().take(AHEAD).any(|w| w.is_called_as(r));
                    if w.is_called_as(r) {
                        // One of several forms of a field: another may be the one that is meant.
                        let always_later =
                            || r_rest.iter().take(AHEAD).any(|r| r.when.is_none() && w.is_called_as(r));
                        match () {
                            // Of two forms of which one was written, the one that is always there.
                            () if r.when.is_some() && !written_later && always_later() => {
                                self.only_read(r);
                                read = r_rest;
                                continue;
                            }
                            () if w.fits(r) => {}
                            () if r.when.is_some() && read_later => {
                                read = r_rest;
                                continue;
                            }
                            () if w.when.is_some() && written_later => {
                                written = w_rest;
                                continue;
                            }
                            () => {}
                        }
                        self.field(w, r);
                    } else if let Some(rest) = r.covers(written) {
                        (written, read) = (rest, r_rest);
                        continue;
                    } else if let Some(rest) = w.covers(read) {
                        (written, read) = (w_rest, rest);
                        continue;
                    } else if read_later {
                        self.only_read(r);
                        read = r_rest;
                        continue;
                    } else if written_later || !w.is_as_large(r) || w.when.is_some() != r.when.is_some() {
                        self.only_written(w);
                        written = w_rest;
                        continue;
                    } else {
                        let reason = format!("called `{}` at the destination, with the same bytes", r.name);
                        self.within(&w.name, |walk| walk.add(Effect::Harmless, reason));
                        self.structs(w, r);
                    }
                    (written, read) = (w_rest, r_rest);
                }
            }
        }
    }

    fn field(&mut self, w: &Field, r: &Field) {
        let name = w.name.as_str();
        if !w.fits(r) {
            let reason = format!(
                "{}, {} at the destination: it takes a wrong part of the stream",
                w.bytes(),
                r.bytes()
            );
            self.within(name, |walk| walk.add(Effect::Breaks, reason));
            return;
        }
        if w.when.is_some() != r.when.is_some() && self.writer != Source::Stream {
            let (always, where_) = if w.when.is_some() { ("read", "written") } else { ("written", "read") };
            let reason = format!("always {always}, but {where_} only if a condition holds");
            self.within(name, |walk| walk.add(Effect::MayBreak, reason));
        }
        self.structs(w, r);
    }

    fn structs(&mut self, w: &Field, r: &Field) {
        for (written, read) in w.structs.iter().zip(&r.structs) {
            self.within(&w.name, |walk| walk.body(written, written.version, read, read.version));
        }
    }

    fn only_written(&mut self, field: &Field) {
        let bytes = field.bytes();
        let (effect, reason) = match &field.when {
            None => (
                Effect::Breaks,
                format!("{bytes}, which the destination does not read: it takes them for what follows"),
            ),
            Some(_) => (
                Effect::MayBreak,
                format!("{bytes}, written if a condition holds, which the destination does not read"),
            ),
        };
        self.within(&field.name, |walk| walk.add(effect, reason));
    }

    fn only_read(&mut self, field: &Field) {
        let bytes = field.bytes();
        let may_be_empty =
            field.count == Count::Varies && (field.size.is_none() || !field.structs.is_empty());
        let (effect, reason) = match &field.when {
            None if may_be_empty && self.writer == Source::Stream => return,
            None => (
                Effect::Breaks,
                format!("{bytes}, which only the destination has: it takes what follows for them"),
            ),
            // A stream does not say under which conditions its fields are there, nor what has no elements.
            Some(_) if self.writer == Source::Stream => return,
            Some(_) => (
                Effect::MayBreak,
                format!("{bytes}, which the destination reads if a condition holds, and are never written"),
            ),
        };
        self.within(&field.name, |walk| walk.add(effect, reason));
    }
}

impl Field {
    /// Bytes of the whole field, if they are known.
    fn total(&self) -> Option<u64> {
        match self.count {
            Count::Fixed(count) => self.size?.checked_mul(count),
            Count::Together => self.size,
            Count::Varies => None,
        }
    }

    /// Whether the bytes of two fields can be the same. What a struct takes is not in its size.
    fn fits(&self, other: &Self) -> bool {
        if !self.structs.is_empty() && !other.structs.is_empty() {
            return match (self.count, other.count) {
                (Count::Fixed(own), Count::Fixed(others)) => own == others,
                _ => true,
            };
        }
        if self.structs.is_empty() != other.structs.is_empty() {
            return true;
        }
        match (self.total(), other.total()) {
            (Some(own), Some(others)) => own == others,
            // Without a number of elements, a size is that of an element, or of all.
            (Some(total), None) => other.size.is_none_or(|size| size > 0 && total.is_multiple_of(size)),
            (None, Some(total)) => self.size.is_none_or(|size| size > 0 && total.is_multiple_of(size)),
            (None, None) => self.size.is_none() || other.size.is_none() || self.size == other.size,
        }
    }

    /// Whether the bytes of two fields are as many: what says that they are the same under another name.
    fn is_as_large(&self, other: &Self) -> bool {
        let struct_name = |field: &Self| field.structs.first().map(|inner| inner.name.clone());
        match (struct_name(self), struct_name(other)) {
            (None, None) => {
                let size = |field: &Self| field.total().or(field.size);
                size(self) == size(other)
            }
            (own, others) => own == others,
        }
    }

    /// Whether it is the field that the other side calls so. In a stream, a name that comes twice has a number.
    fn is_called_as(&self, other: &Self) -> bool {
        let without_number = || {
            let (name, number) = self.name.strip_suffix(']')?.rsplit_once('[')?;
            number.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
        };
        self.name == other.name
            || self.count == Count::Together && without_number() == Some(other.name.as_str())
    }

    /// The fields behind those that this one, if it is of unused bytes, stands for.
    fn covers<'f>(&self, fields: &'f [Self]) -> Option<&'f [Self]> {
        if !self.name.starts_with("unused") {
            return None;
        }
        let mut left = self.total().or(self.size)?;
        let mut rest = fields;
        while left > 0 {
            let (field, behind) = rest.split_first()?;
            left = left.checked_sub(field.total().or(field.size).filter(|_| field.structs.is_empty())?)?;
            rest = behind;
        }
        Some(rest)
    }

    fn bytes(&self) -> String {
        match self.total().or(self.size) {
            _ if !self.structs.is_empty() => "a struct".to_owned(),
            None => "bytes of a form of its own".to_owned(),
            Some(1) => "1 byte".to_owned(),
            Some(size) => format!("{size} bytes"),
        }
    }
}
