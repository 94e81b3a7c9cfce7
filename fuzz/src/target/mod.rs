//! The targets, and what they promise of any bytes.

pub(crate) mod container;
pub(crate) mod live;
pub(crate) mod ring;
pub(crate) mod section;
pub(crate) mod stream;
