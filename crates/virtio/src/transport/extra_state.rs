//! The body of `virtio/extra_state`: the core calls back into the transport.

use serde::{Deserialize, Serialize};
use vmstate::vmdesc::FieldDesc;
use vmstate::{ErrorKind, Field, Reader, Result, Type, Typed, Writer};

use super::{MmioExtraState, PciExtraState, TransportKind};

/// What a transport adds to a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraState {
    /// Of a PCI device.
    Pci(PciExtraState),
    /// Of a device with memory-mapped registers.
    Mmio(MmioExtraState),
}

impl Typed for ExtraState {
    const TYPE: Type = Type::Opaque { name: "virtio_extra_state" };
}

impl Field<TransportKind> for ExtraState {
    fn load(input: &mut Reader<'_>, transport: &TransportKind) -> Result<Self> {
        match transport {
            TransportKind::Pci => Field::load(input, &()).map(Self::Pci),
            TransportKind::Mmio => Field::load(input, &()).map(Self::Mmio),
            TransportKind::Ccw => Err(input.fail(ErrorKind::Invalid(
                "a ccw device has no extra state; its transport state comes first".into(),
            ))),
        }
    }

    fn save(&self, out: &mut Writer) {
        match self {
            Self::Pci(state) => Field::<()>::save(state, out),
            Self::Mmio(state) => Field::<()>::save(state, out),
        }
    }

    fn describe(&self, name: &str) -> Vec<FieldDesc> {
        match self {
            Self::Pci(state) => Field::<()>::describe(state, name),
            Self::Mmio(state) => Field::<()>::describe(state, name),
        }
    }
}
