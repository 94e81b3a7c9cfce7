//! Block device (virtio 1.3 §5.2): section `virtio-blk`, version 2.
//!
//! Its data is the list of requests that were taken and not returned: those that failed while the
//! device was told to stop on errors (`werror=stop`), and wait to be tried again.

mod finish;
mod live;
mod request;
mod tally;

pub use super::disk::ErrorPolicy;
pub use finish::finish;
pub use live::{BlkOptions, LiveBlk};
pub use tally::{Served, Tally};

use serde::{Deserialize, Serialize};
use vmstate::types::List;
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::{Data, Device, DeviceType, Known};
use crate::core::{BeforeSubsections, Feature};
use crate::element::{Buffer, Element};
use crate::finding::{Findings, Severity};
use crate::shape::Switch;

/// Bytes of a request's header (`struct virtio_blk_req` up to its data).
const HEADER: u64 = 16;

/// State of a block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-blk", version = 2, context = BeforeSubsections)]
pub struct Blk {
    /// Requests in flight, as the stream has them: QEMU turns their order around with each load.
    pub requests: List<BlkRequest>,
}

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "request", context = BeforeSubsections)]
pub struct BlkRequest {
    /// The queue it was taken from; there if the device has more than one.
    #[vmstate(when = cx.queues > 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// Where its header, data and status byte are.
    pub element: Element,
}

impl Device for Blk {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-blk",
        version: 2,
        minimum_version: 2,
        id: 2,
        title: "block device",
        features: FEATURES,
        queue_name,
        switches: &[Switch::Packed, Switch::BigEndianHost],
        data: Data::Within(Self::DESCRIPTION),
        unmigratable: None,
    };

    fn load_device(cx: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
        Self::load_body(input, Self::TYPE.version, cx)
    }

    fn save_device(&self, out: &mut Writer) {
        self.save_body(out);
    }

    fn post_load(&mut self, known: &Known<'_>, findings: &mut Findings) {
        let queues = known.core.queues.len();
        for (index, BlkRequest { queue, element }) in self.requests.iter().enumerate() {
            if let Some(queue) = queue.filter(|&queue| queue as usize >= queues) {
                let message = format!("request {index} is of queue {queue}, expected less than {queues}");
                findings.add_device(420, Severity::FailsLoad, message);
            }
            // QEMU looks at them only when it tries the request again.
            let header = element.out_sg.iter().map(|buffer| buffer.len).fold(0, u64::saturating_add);
            if header < HEADER || element.in_sg.last().is_none_or(|Buffer { len, .. }| *len == 0) {
                let message = format!(
                    "request {index} has no room for its header of {HEADER} bytes and its status byte"
                );
                findings.add_device(421, Severity::BreaksDevice, message);
            }
        }
    }
}

pub(super) fn queue_name(index: usize, _: usize) -> String {
    format!("requestq{}", index + 1)
}

/// Features that the running device knows (§5.2.3).
mod feature {
    pub(super) const SEG_MAX: u8 = 2;
    pub(super) const RO: u8 = 5;
    pub(super) const BLK_SIZE: u8 = 6;
    pub(super) const FLUSH: u8 = 9;
    pub(super) const CONFIG_WCE: u8 = 11;
    pub(super) const MQ: u8 = 12;
    pub(super) const DISCARD: u8 = 13;
    pub(super) const WRITE_ZEROES: u8 = 14;
}

/// Feature bits (§5.2.3).
pub(super) const FEATURES: &[Feature] = &[
    (0, "BARRIER"),
    (1, "SIZE_MAX"),
    (feature::SEG_MAX, "SEG_MAX"),
    (4, "GEOMETRY"),
    (feature::RO, "RO"),
    (feature::BLK_SIZE, "BLK_SIZE"),
    (7, "SCSI"),
    (feature::FLUSH, "FLUSH"),
    (10, "TOPOLOGY"),
    (feature::CONFIG_WCE, "CONFIG_WCE"),
    (feature::MQ, "MQ"),
    (feature::DISCARD, "DISCARD"),
    (feature::WRITE_ZEROES, "WRITE_ZEROES"),
    UNSERVED[0],
    UNSERVED[1],
    UNSERVED[2],
];

/// Features with types of requests that the running device does not know.
const UNSERVED: [Feature; 3] = [(15, "LIFETIME"), (16, "SECURE_ERASE"), (17, "ZONED")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::{Bench, saved};

    fn bench() -> Bench {
        Bench::of(const { &Blk::TYPE })
    }

    fn request(queue: Option<u32>) -> BlkRequest {
        let element = Element {
            index: 3,
            out_sg: vec![Buffer { addr: 0x1000, len: 16 }],
            in_sg: vec![Buffer { addr: 0x2000, len: 512 }, Buffer { addr: 0x3000, len: 1 }],
            ..Element::default()
        };
        BlkRequest { queue, element }
    }

    fn data(requests: &[BlkRequest]) -> Vec<u8> {
        saved(&Blk { requests: List(requests.to_vec()) })
    }

    #[test]
    fn round_trips() {
        let one = data(&[request(None), request(None)]);
        assert_eq!(one.len(), 2 * (1 + Element::IMAGE_SIZE) + 1);
        assert_eq!(bench().round_trip::<Blk>(&one).requests.len(), 2);
        let many = data(&[request(Some(0)), request(Some(3))]);
        assert_eq!(bench().queues(4).round_trip::<Blk>(&many).requests[1].queue, Some(3));
        assert_eq!(bench().round_trip::<Blk>(&[0]), Blk::default());
    }

    #[test]
    fn finds_a_request_of_no_queue() {
        let finding = bench().queues(4).finding::<Blk>(&data(&[request(Some(0)), request(Some(4))]));
        assert_eq!(
            finding,
            ("VM0420 request 1 is of queue 4, expected less than 4".to_owned(), Severity::FailsLoad)
        );
    }

    #[test]
    fn finds_a_request_without_header_or_status() {
        let mut headless = request(None);
        headless.element.out_sg[0].len = 15;
        let mut without_status = request(None);
        without_status.element.in_sg.clear();
        for request in [headless, without_status] {
            let (message, severity) = bench().finding::<Blk>(&data(&[request]));
            assert!(message.starts_with("VM0421 request 0 has no room"), "{message}");
            assert_eq!(severity, Severity::BreaksDevice);
        }
    }

    #[test]
    fn refuses_a_list_without_end() {
        let data = data(&[request(None)]);
        let error = bench().load::<Blk>(&data[..data.len() - 1]).unwrap_err();
        assert_eq!(error.to_string(), "virtio-blk › requests at 0xc011: needs 1 bytes, 0 are left");
    }
}
