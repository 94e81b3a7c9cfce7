//! Rings in guest memory: where their parts lie, and what they hold.

pub mod split;
