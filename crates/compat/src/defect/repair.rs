//! What a defect left in a stream, mended.

use crate::defect::ALL;
use crate::state::{SectionState, State};

/// How a stream is mended.
#[derive(Debug, Clone, Copy)]
pub struct Repair {
    /// What is done, as it is told afterwards.
    done: &'static str,
    /// Mends a section; whether there was something to mend.
    mend: fn(&mut SectionState) -> bool,
}

/// A repair that was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Repaired {
    /// The section.
    pub section: String,
    /// The name of the defect.
    pub defect: &'static str,
    /// What was done.
    pub done: &'static str,
}

/// Mends what is known to be broken, and says what that was.
pub fn repair(state: &mut State) -> Vec<Repaired> {
    let mut repaired = Vec::new();
    for section in &mut state.sections {
        for defect in ALL {
            if let Some(Repair { done, mend }) = defect.repair
                && mend(section)
            {
                repaired.push(Repaired { section: section.title(), defect: defect.name, done });
            }
        }
    }
    repaired
}

/// Puts the balloon's misspelt subsection under its right name.
pub(super) const RENAME_PAGE_POISON: Repair = Repair {
    done: "renamed the subsection `vitio-balloon-device/page-poison` to `virtio-balloon-device/page-poison`",
    mend: |section| {
        let device = section.state.get_mut("device").filter(|_| section.name.ends_with("/virtio-balloon"));
        let Some(device) = device.and_then(serde_json::Value::as_object_mut) else { return false };
        let Some(poison) = device.remove("misspelt_page_poison") else { return false };
        device.insert("page_poison".to_owned(), poison);
        true
    },
};
