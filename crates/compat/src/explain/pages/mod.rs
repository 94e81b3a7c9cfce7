//! The pages: what each code means. `docs/codes.md` is made from them.
//!
//! To add a code, add its page where its hundred is; a test finds codes without one, and pages without a code.

mod companion;
mod core;
mod device;
mod gpu;
mod migration;
mod section;
mod stream;
mod verdict;

use serde::{Serialize, Serializer};
use vmstate::Code;

use crate::defect::{self, Defect};

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The code.
    #[serde(serialize_with = "as_text")]
    pub code: Code,
    /// What is wrong, in a line.
    pub title: &'static str,
    /// What it means for the guest and its migration.
    pub meaning: &'static str,
    /// How it comes about.
    pub cause: &'static str,
    /// What QEMU says of it; empty where it says nothing of its own.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub qemu: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// What vmig prints.
    pub example: &'static str,
}

fn as_text<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(code)
}

impl Page {
    /// The defects of QEMU releases that may be behind it.
    pub fn defects(&self) -> impl Iterator<Item = &'static Defect> {
        defect::behind(self.code)
    }
}

/// The pages, by hundreds of codes.
const TABLES: [&[Page]; 8] = [
    stream::PAGES,
    section::PAGES,
    self::core::PAGES,
    device::PAGES,
    gpu::PAGES,
    companion::PAGES,
    verdict::PAGES,
    migration::PAGES,
];

/// All pages, in the order of their codes.
#[must_use]
pub fn pages() -> Vec<&'static Page> {
    let mut pages: Vec<_> = TABLES.into_iter().flatten().collect();
    pages.sort_by_key(|page| page.code);
    pages
}

/// The page of a code.
#[must_use]
pub fn page(code: Code) -> Option<&'static Page> {
    TABLES.into_iter().flatten().find(|page| page.code == code)
}
