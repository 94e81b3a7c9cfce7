//! Known defects of QEMU releases that can be mended in a stream.

use serde_json::Value;

use crate::state::State;

/// A repair that was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Repair {
    /// The section.
    pub section: String,
    /// The code of the finding that it mends.
    pub code: &'static str,
    /// What was done.
    pub done: &'static str,
}

/// Mends what is known to be broken, and says what that was.
pub fn repair(state: &mut State) -> Vec<Repair> {
    let mut repairs = Vec::new();
    for section in &mut state.sections {
        if section.name.ends_with("/virtio-balloon") && rename_page_poison(&mut section.state) {
            repairs.push(Repair {
                section: section.title(),
                code: "VM0440",
                done: "renamed the subsection `vitio-balloon-device/page-poison`, which QEMU 5.2 misspells",
            });
        }
    }
    repairs
}

/// Puts the balloon's misspelt subsection under its right name.
fn rename_page_poison(state: &mut Value) -> bool {
    let Some(device) = state.get_mut("device").and_then(Value::as_object_mut) else { return false };
    match device.remove("misspelt_page_poison") {
        Some(poison) => {
            device.insert("page_poison".to_owned(), poison);
            true
        }
        None => false,
    }
}
