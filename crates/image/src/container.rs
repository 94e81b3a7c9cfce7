//! What a stream is found in.

use std::fmt;

use crate::{Packing, Save, Snapshot};

/// What a stream is found in, from the outside in; nothing, if the file is the stream.
///
/// As text it is `raw`, or the names of the layers, as `zstd`, `libvirt+gzip`, `xz+qcow2`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    layers: Vec<Layer>,
}

/// One wrapping of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// The file is compressed.
    Packed(Packing),
    /// A save image of libvirt, which may compress the stream in it.
    Libvirt(Save),
    /// A qcow2 image, of which this is the snapshot that was read.
    Qcow2(Snapshot),
}

impl Container {
    /// The layers, from the outside in.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What libvirt says of the guest, if this is a save image.
    #[must_use]
    pub fn libvirt(&self) -> Option<&Save> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::Libvirt(save) => Some(save),
            _ => None,
        })
    }

    /// The snapshot that was read, if this is a qcow2 image.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::Qcow2(snapshot) => Some(snapshot),
            _ => None,
        })
    }

    /// The same, with one more layer inside.
    pub(crate) fn with(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            return f.write_str("raw");
        }
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                f.write_str("+")?;
            }
            match layer {
                Layer::Packed(packing) => packing.fmt(f)?,
                Layer::Libvirt(save) => save.fmt(f)?,
                Layer::Qcow2(_) => f.write_str("qcow2")?,
            }
        }
        Ok(())
    }
}
