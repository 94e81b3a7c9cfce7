//! The JSON description that a stream carries after its end, and that [`Field::describe`] makes.
//!
//! [`parse`] reads one. It then tells how long each section's body is ([`DeviceDesc::body_size`]), which
//! is the only way to find a section's end without knowing the device; drives the decoding of bodies
//! ([`StructValue::decode`]); and can be compared with another one ([`StructDesc::flattened`]).
//!
//! [`Field::describe`]: crate::Field::describe
//! [`StructValue::decode`]: crate::value::StructValue::decode

mod flat;
mod model;
mod parse;
mod size;

pub use flat::FlatField;
pub use model::{DeviceDesc, FieldDesc, Member, StructDesc, VmDesc};
pub use parse::parse;
pub(crate) use size::subsection_header_size;
