//! What there is to say about a migration stream: as a [`Document`], and as a [`page`] to look at.
//!
//! ```no_run
//! use report::{Reading, Subject};
//! # fn example(reading: Reading<'_>) {
//! let json = serde_json::to_string_pretty(&report::Document::new(&reading));
//! let html = report::page(&[Subject { name: "guest.mig", reading }]);
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod buffer;
pub mod document;
mod page;
mod reading;

pub use document::Document;
pub use page::{Subject, page};
pub use reading::Reading;
