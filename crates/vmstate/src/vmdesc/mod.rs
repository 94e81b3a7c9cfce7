//! The JSON description that a stream carries after its end, and that [`Field::describe`] makes.
//!
//! [`Field::describe`]: crate::Field::describe

mod model;

pub use model::{DeviceDesc, FieldDesc, StructDesc, VmDesc};
