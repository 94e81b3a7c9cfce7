//! Channel I/O (virtio 1.3 §4.3): the subchannel, indicators and adapter routes of s390x.
//!
//! Field names are those of the z/Architecture Principles of Operation; values are big-endian.

use serde::{Deserialize, Serialize};
use vmstate::types::Buffer;
use vmstate::{Field, Reader, Result, VmState, Writer};

use super::{RingLayout, Transport};
use crate::finding::Findings;

/// The state of a virtio-ccw proxy: the device, and a vector (a bit of its indicators) for each queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ccw {
    /// The channel device.
    #[serde(flatten)]
    pub device: CcwDevice,
    /// The indicator bit of each queue.
    pub queue_vectors: Vec<u16>,
}

impl Ccw {
    pub(super) fn load_config(input: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { device: Field::load(input, &())?, queue_vectors: Vec::new() })
    }
}

impl Transport for Ccw {
    fn ring_layout(&self) -> RingLayout {
        RingLayout { has_alignment: false }
    }
    fn save_config(&self, out: &mut Writer) {
        Field::<()>::save(&self.device, out);
    }
    fn load_queue(&mut self, index: usize, input: &mut Reader<'_>) -> Result<()> {
        let vector = input.u16().map_err(|e| e.in_field("vector").at_index(index).in_field("queues"))?;
        self.queue_vectors.push(vector);
        Ok(())
    }
    fn save_queue(&self, index: usize, out: &mut Writer) {
        out.u16(self.queue_vectors.get(index).copied().unwrap_or_default());
    }
    fn queue_vector(&self, index: usize) -> Option<u16> {
        self.queue_vectors.get(index).copied()
    }
    fn notify_guest(&self, _: &mut Findings) {}
    fn keep_interrupt(&mut self, _: usize) -> bool {
        // Indicators are in guest memory, and the interrupt itself is with the machine's interrupt controller.
        false
    }
}

/// `s390_virtio_ccw_dev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_virtio_ccw_dev")]
pub struct CcwDevice {
    /// The subchannel.
    pub sch: Subchannel,
    /// Where queue notifications are indicated.
    pub indicators: Indicator,
    /// Where configuration changes are indicated.
    pub indicators2: Indicator,
    /// The summary of adapter interrupts.
    pub summary_indicator: Indicator,
    /// The indicator bit for configuration changes.
    pub config_vector: u16,
    /// Adapter interrupt routes.
    pub routes: AdapterRoutes,
    /// Interruption subclass of adapter interrupts.
    pub thinint_isc: u8,
    /// The virtio-ccw revision the driver chose; -1: none yet.
    pub revision: i32,
}

/// `s390_subch_dev`: a subchannel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_subch_dev")]
pub struct Subchannel {
    /// Channel subsystem.
    pub cssid: u8,
    /// Subchannel set.
    pub ssid: u8,
    /// Subchannel number on the source.
    pub migrated_schid: u16,
    /// Device number.
    pub devno: u16,
    /// Whether the driver uses adapter interrupts.
    pub thinint_active: bool,
    /// Subchannel information block.
    pub schib: Schib,
    /// Sense data.
    pub sense_data: Buffer<32>,
    /// Address of the channel program.
    #[serde(with = "crate::address")]
    pub channel_prog: u64,
    /// The last command.
    pub last_cmd: Ccw1,
    /// Whether there is a last command.
    pub last_cmd_valid: bool,
    /// What the device answers when asked for its identity.
    pub id: SenseId,
    /// Whether the channel program has format-1 commands.
    pub ccw_fmt_1: bool,
    /// How many commands without data came in a row.
    pub ccw_no_data_cnt: u8,
    /// The operation request block (machines since 2.10).
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orb: Option<Orb>,
}

/// Subchannel information block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_schib")]
pub struct Schib {
    /// Path management.
    pub pmcw: PathManagement,
    /// Status.
    pub scsw: SubchannelStatus,
    /// Measurement block address.
    #[serde(with = "crate::address")]
    pub mba: u64,
    /// Model-dependent area.
    pub mda: [u8; 4],
}

/// Path management control word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_pmcw")]
#[expect(missing_docs, reason = "fields of the architecture's control word, by its names")]
pub struct PathManagement {
    pub intparm: u32,
    pub flags: u16,
    pub devno: u16,
    pub lpm: u8,
    pub pnom: u8,
    pub lpum: u8,
    pub pim: u8,
    pub mbi: u16,
    pub pom: u8,
    pub pam: u8,
    pub chpid: [u8; 8],
    pub chars: u32,
}

/// Subchannel status word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_scsw")]
#[expect(missing_docs, reason = "fields of the architecture's status word, by its names")]
pub struct SubchannelStatus {
    pub flags: u16,
    pub ctrl: u16,
    pub cpa: u32,
    pub dstat: u8,
    pub cstat: u8,
    pub count: u16,
}

/// A format-1 channel command word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_ccw1")]
pub struct Ccw1 {
    /// Command code.
    pub cmd_code: u8,
    /// Flags.
    pub flags: u8,
    /// Bytes of data.
    pub count: u16,
    /// Address of the data.
    pub cda: u32,
}

/// Answer to the command "sense id".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_sense_id")]
pub struct SenseId {
    /// Always 0xff.
    pub reserved: u8,
    /// Control unit type.
    pub cu_type: u16,
    /// Control unit model.
    pub cu_model: u8,
    /// Device type.
    pub dev_type: u16,
    /// Device model.
    pub dev_model: u8,
    /// Not used.
    pub unused: u8,
    /// Commands the device knows.
    pub ciw: vmstate::types::Array<CommandInfo, 62>,
}

/// Command information word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_ciw")]
pub struct CommandInfo {
    /// Type.
    #[vmstate(rename = "type")]
    #[serde(rename = "type")]
    pub kind: u8,
    /// Command.
    pub command: u8,
    /// Bytes.
    pub count: u16,
}

/// `s390_subch_dev/orb`: operation request block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_subch_dev/orb")]
pub struct Orb {
    /// Interruption parameter.
    pub intparm: u32,
    /// Control flags.
    pub ctrl0: u16,
    /// Logical path mask.
    pub lpm: u8,
    /// Control flags.
    pub ctrl1: u8,
    /// Channel program address.
    pub cpa: u32,
}

/// An indicator: bits in guest memory that the device sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_indicator")]
pub struct Indicator {
    /// Bytes; 0: the driver has set none.
    pub len: i32,
    /// Guest-physical address.
    #[serde(with = "crate::address")]
    pub addr: u64,
}

/// Adapter interrupt routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_adapter_routes")]
pub struct AdapterRoutes {
    /// The adapter.
    pub adapter: AdapterRoute,
}

/// `s390_adapter_info`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_adapter_info")]
pub struct AdapterRoute {
    /// First indicator bit.
    pub ind_offset: u64,
    /// Summary bit (machines since 2.10).
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_offset: Option<SummaryOffset>,
}

/// `s390_adapter_info/summary_offset`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "s390_adapter_info/summary_offset")]
pub struct SummaryOffset {
    /// The bit.
    pub summary_offset: u32,
}
