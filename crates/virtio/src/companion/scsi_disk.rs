//! A disk of a SCSI host: section `<path of the host>/<channel>:<id>:<lun>/scsi-disk`, version 1.
//!
//! Its requests in flight have the elements of the host's queues, so it is loaded after the host.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use vmstate::types::Array;
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::scsi_request::{DiskLayout, Request, WriteLength};
use super::{CompanionState, CompanionType};
use crate::core::VIRTIO_QUEUE_MAX;
use crate::device::zero_terminated::ZeroTerminated;
use crate::finding::{Findings, Severity};
use crate::shape::{Switch, Switches};

/// Bytes of sense data a device can have (QEMU: `SCSI_SENSE_BUF_SIZE`).
const SENSE_SIZE: u32 = 252;
/// Request queues a host can have: all but control and event queue.
const REQUEST_QUEUES: usize = VIRTIO_QUEUE_MAX - 2;

/// State of a SCSI disk or CD drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "scsi-disk", context = DiskLayout)]
pub struct ScsiDisk {
    /// What every SCSI device has.
    pub qdev: ScsiDevice,
    /// The medium was changed, and the guest has not been told by a unit attention.
    pub media_changed: bool,
    /// The medium was changed, and the guest has not asked for the event.
    pub media_event: bool,
    /// The host wants to eject the medium, and the guest has not been told.
    pub eject_request: bool,
    /// Whether the tray is open.
    pub tray_open: bool,
    /// Whether the guest has locked the tray.
    pub tray_locked: bool,
}

/// `SCSIDevice`: what every SCSI device has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "SCSIDevice", context = DiskLayout)]
pub struct ScsiDevice {
    /// Sense key of the unit attention that waits for the next command.
    #[vmstate(rename = "unit_attention.key")]
    pub unit_attention_key: u8,
    /// Its additional sense code.
    #[vmstate(rename = "unit_attention.asc")]
    pub unit_attention_asc: u8,
    /// Its additional sense code qualifier.
    #[vmstate(rename = "unit_attention.ascq")]
    pub unit_attention_ascq: u8,
    /// Whether the sense data is that of a unit attention.
    pub sense_is_ua: bool,
    /// Sense data of the last command, up to byte 95.
    pub sense: Array<u8, 96>,
    /// Bytes of sense data.
    pub sense_len: u32,
    /// Requests in flight.
    pub requests: ZeroTerminated<Request, 1>,
    /// More sense data, if there is so much.
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_sense: Option<MoreSense>,
}

/// `SCSIDevice/sense`: sense data from byte 96.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "SCSIDevice/sense")]
pub struct MoreSense {
    /// The bytes.
    pub sense: Array<u8, 156>,
}

impl CompanionState for ScsiDisk {
    const TYPE: CompanionType = CompanionType {
        section: "scsi-disk",
        version: 1,
        minimum_version: 1,
        title: "disk of a SCSI host",
        on_bus: true,
        description: Self::DESCRIPTION,
        switches: &[Switch::Packed, Switch::BareEmulatedRequests, Switch::BigEndianHost],
    };

    fn load(switches: Switches, input: &mut Reader<'_>) -> Result<Self> {
        let read = |write_length| {
            let mut input = input.clone();
            let disk =
                Self::load_body(&mut input, Self::TYPE.version, &DiskLayout { switches, write_length })?;
            input.finish().map(|()| (disk, input))
        };
        // What QEMU can load, if the section can be read so; else what it wrote.
        let sectors = read(WriteLength::Sectors);
        let (disk, rest) = sectors.or_else(|error| read(WriteLength::Parameters).map_err(|_| error))?;
        *input = rest;
        Ok(disk)
    }

    fn save(&self, out: &mut Writer) {
        self.save_body(out);
    }

    fn check(&self, findings: &mut Findings) {
        let ScsiDevice { sense_len, requests, .. } = &self.qdev;
        if *sense_len > SENSE_SIZE {
            let message = format!("sense_len is {sense_len}, at most {SENSE_SIZE}; QEMU does not check");
            findings.add_device(500, Severity::Warning, message);
        }
        self.check_queues(REQUEST_QUEUES..usize::MAX, findings);
        let mut fails = |code, message: String| findings.add_device(code, Severity::FailsLoad, message);
        for (index, request) in requests.iter().enumerate() {
            let buflen = request.disk.map_or(0, |disk| disk.buflen);
            if let Some(length) = request.read_length.filter(|&length| length > buflen) {
                fails(
                    502,
                    format!(
                        "request {index} has {length} bytes of data, at most {buflen} (buflen): QEMU aborts"
                    ),
                );
            }
            if let Some(length) = request.misread_length() {
                let (found, opcode) = (request.data.len(), request.cdb.opcode());
                fails(
                    503,
                    format!(
                        "request {index} (command {opcode:#04x}) was written with {found} bytes of data, of which \
                         QEMU reads {length}: it loses its place in the stream"
                    ),
                );
            }
        }
    }
}

impl ScsiDisk {
    /// Checks the requests against a host with so many request queues. Queues that no host has are found without it.
    pub(crate) fn check_host(&self, request_queues: usize, findings: &mut Findings) {
        self.check_queues(request_queues..REQUEST_QUEUES, findings);
    }

    fn check_queues(&self, refused: Range<usize>, findings: &mut Findings) {
        for (index, Request { queue, .. }) in self.qdev.requests.iter().enumerate() {
            if refused.contains(&(*queue as usize)) {
                let limit = refused.start;
                let message =
                    format!("request {index} is of queue {queue}, expected less than {limit}: QEMU aborts");
                findings.add_device(501, Severity::FailsLoad, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion::testing::{round_trip, saved};
    use crate::companion::{Cdb, Companion, DiskRequest, LoadedCompanion};
    use crate::core::Endianness;
    use crate::device::bytes::Bytes;
    use crate::device::testing::only;
    use crate::element::{Buffer, Element, HostOrder};

    fn element() -> Element {
        Element {
            index: 2,
            out_sg: vec![Buffer { addr: 0x1000, len: 51 }],
            in_sg: vec![Buffer { addr: 0x2000, len: 108 }],
            ..Element::default()
        }
    }

    fn request(opcode: u8) -> Request {
        let mut cdb = Cdb::default();
        (cdb.0[0], cdb.0[8]) = (opcode, 24);
        let disk = Some(DiskRequest { sector: 4096, sector_count: 8, buflen: 0 });
        Request { progress: Request::RETRY, cdb, tag: 9, element: element(), disk, ..Request::default() }
    }

    fn disk(requests: Vec<Request>) -> ScsiDisk {
        let qdev = ScsiDevice { sense_len: 18, requests: ZeroTerminated(requests), ..ScsiDevice::default() };
        ScsiDisk { qdev, tray_locked: true, ..ScsiDisk::default() }
    }

    #[track_caller]
    fn load(disk: &ScsiDisk) -> (Switches, LoadedCompanion) {
        let (switches, loaded) = round_trip(&ScsiDisk::TYPE, &saved(disk));
        assert_eq!(loaded.state, Companion::ScsiDisk(disk.clone()));
        (switches, loaded)
    }

    #[track_caller]
    fn healthy(disk: &ScsiDisk) -> Switches {
        let (switches, loaded) = load(disk);
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        switches
    }

    #[track_caller]
    fn finding(disk: &ScsiDisk) -> (String, Severity) {
        only(&load(disk).1.findings)
    }

    #[test]
    fn finds_a_request_of_a_queue_that_its_host_does_not_have() {
        let mut of_queue = request(Cdb::READ_16);
        of_queue.queue = 4;
        let disk = disk(vec![request(Cdb::WRITE_10), of_queue]);
        let checked = |queues| {
            let mut findings = Findings::default();
            disk.check_host(queues, &mut findings);
            findings
        };
        assert!(checked(5).is_empty());
        let message = "VM0501 request 1 is of queue 4, expected less than 4: QEMU aborts";
        assert_eq!(only(&checked(4)), (message.to_owned(), Severity::FailsLoad));
    }

    #[test]
    fn round_trips() {
        healthy(&disk(Vec::new()));
        healthy(&disk(vec![
            request(Cdb::WRITE_10),
            request(Cdb::READ_16),
            request(Cdb::SYNCHRONIZE_CACHE_10),
        ]));
        let mut sense = disk(vec![request(Cdb::READ_10)]);
        sense.qdev.sense_len = 252;
        sense.qdev.more_sense = Some(MoreSense::default());
        healthy(&sense);
    }

    #[test]
    fn requests_carry_data_between_guest_and_disk() {
        let buffered = Some(DiskRequest { sector: 4096, sector_count: 8, buflen: 2048 });
        let write = Request { disk: buffered, data: Bytes(vec![1; 2048]), ..request(Cdb::WRITE_10) };
        let read = Request { disk: buffered, ..request(Cdb::READ_10) };
        let mut under_way =
            Request { progress: Request::UNDER_WAY, data: Bytes(vec![2; 512]), ..read.clone() };
        under_way.read_length = Some(512);
        healthy(&disk(vec![write, read, under_way]));
    }

    #[test]
    fn tells_layouts_apart() {
        let sync = request(Cdb::SYNCHRONIZE_CACHE_10);
        let bare = Request { disk: None, ..sync.clone() };
        let packed = Request { element: Element { ndescs: Some(2), ..element() }, ..sync.clone() };
        let host = HostOrder(Endianness::Big);
        let big = Request { element: Element { host, ..element() }, ..sync };
        for (request, switch) in
            [(bare, Switch::BareEmulatedRequests), (packed, Switch::Packed), (big, Switch::BigEndianHost)]
        {
            assert_eq!(healthy(&disk(vec![request])), Switches::default().with(switch));
        }
    }

    #[test]
    fn finds_too_much_sense_data() {
        let mut disk = disk(Vec::new());
        disk.qdev.sense_len = 253;
        let (message, severity) = finding(&disk);
        assert!(message.starts_with("VM0500 sense_len is 253, at most 252"), "{message}");
        assert_eq!(severity, Severity::Warning);
    }

    #[test]
    fn finds_a_request_of_no_queue() {
        let (message, severity) = finding(&disk(vec![Request { queue: 1022, ..request(Cdb::READ_10) }]));
        assert!(
            message.starts_with("VM0501 request 0 is of queue 1022, expected less than 1022"),
            "{message}"
        );
        assert_eq!(severity, Severity::FailsLoad);
    }

    #[test]
    fn finds_more_data_than_the_buffer_holds() {
        let buffered = Some(DiskRequest { buflen: 511, ..DiskRequest::default() });
        let mut request = Request { progress: Request::UNDER_WAY, disk: buffered, ..request(Cdb::READ_10) };
        (request.read_length, request.data) = (Some(512), Bytes(vec![0; 512]));
        let (message, severity) = finding(&disk(vec![request]));
        assert!(
            message.starts_with("VM0502 request 0 has 512 bytes of data, at most 511 (buflen)"),
            "{message}"
        );
        assert_eq!(severity, Severity::FailsLoad);
    }

    #[test]
    fn finds_data_that_qemu_does_not_read() {
        let buffered = Some(DiskRequest { buflen: 4096, ..DiskRequest::default() });
        let unmap = Request { disk: buffered, data: Bytes(vec![5; 24]), ..request(Cdb::UNMAP) };
        let (message, severity) = finding(&disk(vec![unmap]));
        assert!(
            message.starts_with("VM0503 request 0 (command 0x42) was written with 24 bytes"),
            "{message}"
        );
        assert_eq!(severity, Severity::FailsLoad);
    }

    #[test]
    fn refuses_a_marker_it_does_not_know() {
        let mut body = saved(&disk(vec![request(Cdb::READ_10)]));
        body[104] = 3;
        let error = Companion::load_unknown(&ScsiDisk::TYPE, 1, &Reader::new(&body, 0)).unwrap_err();
        assert!(error.to_string().contains("request marker 0x3 is unknown"), "{error}");
    }
}
