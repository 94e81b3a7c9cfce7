//! What the operator's verbs are made of: destinations and verdicts, differences, changes.
#![forbid(unsafe_code)]

pub mod defect;
pub mod diff;
pub mod edit;
pub mod explain;
pub mod redact;
pub mod schema;
pub mod state;

pub mod profile;
pub mod verdict;
