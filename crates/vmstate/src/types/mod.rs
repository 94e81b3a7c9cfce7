//! The forms that fields take beyond integers and arrays.

mod array;
mod bitmap;
mod buffer;
mod counted;
mod list;
mod presence;
mod scalar;
mod tree;

pub use array::Array;
pub use bitmap::Bitmap;
pub use buffer::Buffer;
pub use counted::Counted;
pub use list::List;
pub use presence::Presence;
pub use scalar::{Timer, Unused};
pub use tree::Tree;
