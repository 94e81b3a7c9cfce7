//! The bytes a description accounts for, without the form it happens to have.

use super::model::{FieldDesc, Member, StructDesc};
use super::size::subsection_header_size;

/// Elementary fields that lie one after the other and are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlatField {
    /// The way from the struct to it: `regs[0..8].page`, `css[254].chpids[0..256].type`.
    pub path: String,
    /// QEMU's name for the form, without what it says of checks; `subsection`, with the version, for
    /// what stands in front of one.
    pub ty: String,
    /// Bytes of each.
    pub size: u64,
}

impl StructDesc {
    /// What the description says of the bytes, and nothing else.
    ///
    /// Two descriptions are flattened to the same list if and only if they mean the same bytes: whether
    /// an array has one entry or one for each element, whether bytes are a `buffer` or an array of
    /// `uint8`, what nested structs are called, which checks a form has, and fields of no bytes make no
    /// difference.
    #[must_use]
    pub fn flattened(&self) -> Vec<FlatField> {
        let mut flat = Vec::new();
        for member in self.members() {
            flatten_member(&member, &mut flat);
        }
        for subsection in &self.subsections {
            let (name, size) = (&subsection.vmsd_name, subsection_header_size(&subsection.vmsd_name));
            let ty = format!("subsection {}", subsection.version);
            flat.push(FlatField { path: name.clone(), ty, size });
            flat.extend(subsection.flattened().iter().map(|field| field.within(name)));
        }
        flat
    }
}

fn flatten_member(member: &Member<'_>, flat: &mut Vec<FlatField>) {
    let mut first = 0_u64;
    for (count, element) in alike(member.entries) {
        let end = first.saturating_add(count);
        let name = match count {
            _ if !member.is_array() => member.name.to_owned(),
            1 => format!("{}[{first}]", member.name),
            _ => format!("{}[{first}..{end}]", member.name),
        };
        flat.extend(element.iter().map(|field| field.within(&name)));
        first = end;
    }
}

/// The elements of an array, with how many in a row are alike.
fn alike(entries: &[FieldDesc]) -> Vec<(u64, Vec<FlatField>)> {
    let mut runs: Vec<(u64, Vec<FlatField>)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.count() > 0) {
        let element = flatten_element(entry);
        match runs.last_mut() {
            Some((count, last)) if *last == element => *count = count.saturating_add(entry.count()),
            _ => runs.push((entry.count(), element)),
        }
    }
    runs
}

fn flatten_element(entry: &FieldDesc) -> Vec<FlatField> {
    match entry.nested() {
        Some(nested) => nested.flattened(),
        None if entry.size == 0 => Vec::new(),
        None => {
            let (path, ty, size) = match (entry.plain_type(), entry.size) {
                ("buffer", 1) => (String::new(), "uint8", 1),
                ("buffer", size) => (format!("[0..{size}]"), "uint8", 1),
                (ty, size) => (String::new(), ty, size),
            };
            vec![FlatField { path, ty: ty.to_owned(), size }]
        }
    }
}

impl FlatField {
    fn within(&self, outer: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("{outer}{separator}{}", self.path), ..self.clone() }
    }
}
