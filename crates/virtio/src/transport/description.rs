//! What each transport writes, as descriptions: at which points of a section the core calls it stands in
//! the parent module.

use vmstate::description::{FieldDescription, Length};
use vmstate::{Described, Description, Type, Typed};

use super::{CcwDevice, Mmio, MmioExtraState, Pci, PciExtraState, TransportKind};

/// What a transport adds to a section.
#[derive(Debug, Clone, Copy)]
pub struct TransportDescription {
    /// What comes before the common device fields.
    pub config: &'static Description,
    /// What follows the common part of each queue's record.
    pub queue: &'static [FieldDescription],
    /// The body of `virtio/extra_state`, where the transport has one.
    pub extra_state: Option<&'static Description>,
}

impl TransportKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Pci, Self::Mmio, Self::Ccw];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Mmio => "mmio",
            Self::Ccw => "ccw",
        }
    }

    /// What it adds to a section.
    #[must_use]
    pub const fn description(self) -> TransportDescription {
        match self {
            Self::Pci => TransportDescription {
                config: Pci::DESCRIPTION,
                queue: &[FieldDescription { when: Some(HAS_MSIX), ..VECTOR }],
                extra_state: Some(PciExtraState::DESCRIPTION),
            },
            Self::Mmio => TransportDescription {
                config: Mmio::DESCRIPTION,
                queue: &[],
                extra_state: Some(MmioExtraState::DESCRIPTION),
            },
            Self::Ccw => {
                TransportDescription { config: CcwDevice::DESCRIPTION, queue: &[VECTOR], extra_state: None }
            }
        }
    }
}

const HAS_MSIX: &str = "the device has MSI-X";

const VECTOR: FieldDescription = FieldDescription {
    name: "vector",
    doc: "The vector that tells the driver of used entries; 0xffff: none.",
    ty: u16::TYPE,
    ..ALWAYS
};

const ALWAYS: FieldDescription =
    FieldDescription { name: "", doc: "", ty: u8::TYPE, since: 0, when: None, max: None };

/// Written out, because the configuration space says how much follows it.
impl Described for Pci {
    const DESCRIPTION: &'static Description = &Description {
        name: "virtio-pci",
        doc: "The state of a virtio-pci proxy.",
        version: super::pci::PCI_DEVICE_VERSION,
        minimum_version: 0,
        fields: &[
            FieldDescription {
                name: "version_id",
                doc: "Version of the PCI device state.",
                ty: u32::TYPE,
                max: Some(super::pci::PCI_DEVICE_VERSION as u64),
                ..ALWAYS
            },
            FieldDescription {
                name: "config",
                doc: "The configuration space, little-endian: 256 bytes, or 4,096 of an express device.",
                ty: Type::Array { element: &u8::TYPE, length: Length::External },
                ..ALWAYS
            },
            FieldDescription {
                name: "irq_state",
                doc: "Levels of INTA to INTD.",
                ty: <[u32; 4]>::TYPE,
                ..ALWAYS
            },
            FieldDescription {
                name: "msix_table",
                doc: "The vector table, little-endian: 16 bytes for each vector.",
                ty: Type::Array { element: &u8::TYPE, length: Length::External },
                when: Some(HAS_MSIX),
                ..ALWAYS
            },
            FieldDescription {
                name: "msix_pba",
                doc: "The pending bits, one for each vector, lowest first.",
                ty: Type::Array { element: &u8::TYPE, length: Length::External },
                when: Some(HAS_MSIX),
                ..ALWAYS
            },
            FieldDescription {
                name: "config_vector",
                doc: "The vector for configuration changes; 0xffff: none.",
                ty: u16::TYPE,
                when: Some(HAS_MSIX),
                ..ALWAYS
            },
        ],
        subsections: &[],
    };
}

#[cfg(test)]
mod tests {
    use vmstate::{Reader, Writer};

    use super::*;
    use crate::transport::TransportState;

    /// A device without MSI-X and one with 3 vectors: the bytes are those of the fields described.
    #[test]
    fn pci_is_described_as_it_is_written() {
        for vectors in [0_usize, 3] {
            let mut bytes = vec![0, 0, 0, 2];
            let mut config = [0; 256];
            config[..2].copy_from_slice(&[0xf4, 0x1a]);
            if vectors > 0 {
                (config[6], config[0x34], config[0x40], config[0x42]) = (0x10, 0x40, 0x11, 2);
            }
            let table = 16 * vectors;
            bytes.extend(config);
            bytes.extend(vec![0; 16 + if vectors > 0 { table + 1 + 2 } else { 0 }]);
            let mut input = Reader::new(&bytes, 0);
            let state = TransportState::load_config(TransportKind::Pci, &mut input).unwrap();
            input.finish().unwrap();
            let mut out = Writer::new();
            state.as_dyn().save_config(&mut out);
            let described: usize = Pci::DESCRIPTION
                .fields
                .iter()
                .filter(|field| field.when.is_none() || vectors > 0)
                .map(|field| match (field.ty.fixed_size(), field.name) {
                    (Some(size), _) => size,
                    (None, "config") => 256,
                    (None, "msix_table") => table,
                    (None, _) => 1,
                })
                .sum();
            assert_eq!(described, out.len());
        }
    }
}
