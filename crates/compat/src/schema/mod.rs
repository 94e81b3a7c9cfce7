//! What sections look like: the listing of those vmig models, and whether two descriptions of sections go
//! together.
//!
//! [`sections`] lists what vmig models, from the [`Description`](vmstate::Description)s that the structs
//! themselves have. [`Schema`] holds such a listing, the output of QEMU's `-dump-vmstate`, or the description
//! inside a stream; [`Schema::onto`] says what would break a migration from one to another.

mod compare;
mod dump;
mod listing;
mod model;

pub use compare::{Comparison, Difference, Effect};
pub use dump::DumpError;
pub use listing::{Part, Section, sections};
pub use model::{Count, Field, Schema, SchemaSection, Source, Struct};
