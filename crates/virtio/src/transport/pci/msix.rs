//! MSI-X: the vector table, the pending bits, and which vector is for what.
//!
//! Table and pending bits are raw images of the device's memory (PCI 3.0 §6.8.2), so little-endian.

use serde::{Deserialize, Serialize};
use vmstate::{Reader, Result, Writer};

/// MSI-X state of a virtio-pci proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Msix {
    /// The vector table.
    pub table: Vec<MsixEntry>,
    /// The pending bits, one for each vector, lowest first.
    #[serde(with = "hex::serde")]
    pub pba: Vec<u8>,
    /// The vector for configuration changes, or [`super::NO_VECTOR`].
    pub config_vector: u16,
    /// The vector of each queue, or [`super::NO_VECTOR`].
    pub queue_vectors: Vec<u16>,
}

/// A vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsixEntry {
    /// Where the message is written.
    #[serde(with = "crate::address")]
    pub address: u64,
    /// What is written.
    pub data: u32,
    /// Vector control: bit 0 masks the vector.
    pub control: u32,
}

impl Msix {
    pub(super) fn load(entries: usize, input: &mut Reader<'_>) -> Result<Self> {
        let table = (0..entries).map(|_| MsixEntry::load(input)).collect::<Result<_>>();
        let table = table.map_err(|e| e.in_field("msix_table"))?;
        let pba = input.bytes(entries.div_ceil(8)).map_err(|e| e.in_field("msix_pba"))?.to_vec();
        let config_vector = input.u16().map_err(|e| e.in_field("config_vector"))?;
        Ok(Self { table, pba, config_vector, queue_vectors: Vec::new() })
    }

    pub(super) fn save(&self, out: &mut Writer) {
        for entry in &self.table {
            entry.save(out);
        }
        out.bytes(&self.pba);
        out.u16(self.config_vector);
    }
}

impl MsixEntry {
    fn load(input: &mut Reader<'_>) -> Result<Self> {
        input.array().map(Self::from_bytes)
    }

    fn save(self, out: &mut Writer) {
        out.bytes(&self.to_bytes());
    }

    /// As it lies in the device's memory, little-endian: address, data, control.
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let high = u128::from(self.control) << 96 | u128::from(self.data) << 64;
        (high | u128::from(self.address)).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, d0, d1, d2, d3, c0, c1, c2, c3] = bytes;
        Self {
            address: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            data: u32::from_le_bytes([d0, d1, d2, d3]),
            control: u32::from_le_bytes([c0, c1, c2, c3]),
        }
    }
}
