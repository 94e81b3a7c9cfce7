//! Console device, with its serial ports (virtio 1.3 §5.3): section `virtio-console`, version 3.

mod control;
mod live;
pub mod port;

pub use live::{LiveConsole, PortOptions};

use serde::{Deserialize, Serialize};
use vmstate::types::Counted;
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::{Data, Device, DeviceType, Known};
use crate::core::BeforeSubsections;
use crate::element::Element;
use crate::finding::{Findings, Severity};
use crate::shape::Switch;

/// State of a console device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-console", version = 3, context = BeforeSubsections)]
pub struct Console {
    /// Columns of the console, in the device's byte order. Ignored when loaded, as are the next two.
    pub cols: u16,
    /// Rows of the console, in the device's byte order.
    pub rows: u16,
    /// Ports there can be, in the device's byte order.
    pub max_nr_ports: u32,
    /// A bit for each port there can be; set if the port is there. Must be as on the destination.
    #[vmstate(count = ports_map_words(cx.queues))]
    pub ports_map: Vec<u32>,
    /// The ports.
    pub ports: Counted<u32, Port>,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "port", context = BeforeSubsections)]
pub struct Port {
    /// Its number.
    pub id: u32,
    /// Whether the guest has it open.
    pub guest_connected: bool,
    /// Whether the host has it open. If that is not so on the destination, the driver is told.
    pub host_connected: bool,
    /// Not 0 if an element was taken from the transmit queue that the host has not yet read out.
    pub elem_popped: u32,
    /// That element.
    #[vmstate(when = elem_popped != 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<PoppedElement>,
}

/// Output that the host has not yet read out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "elem", context = BeforeSubsections)]
pub struct PoppedElement {
    /// The buffer that is read out next.
    pub iov_idx: u32,
    /// Bytes of it that were read out.
    pub iov_offset: u64,
    /// The buffers.
    #[vmstate(rename = "elem")]
    pub element: Element,
}

/// Words of the ports map. A device has two queues for each port there can be, and two for control.
fn ports_map_words(queues: usize) -> u64 {
    (queues as u64 / 2).saturating_sub(1).div_ceil(32)
}

impl Console {
    /// Whether the device has a port of this number.
    fn has_port(&self, id: u32) -> bool {
        let word = self.ports_map.get(id as usize / 32);
        word.is_some_and(|word| word >> (id % 32) & 1 == 1)
    }
}

/// Features that the running device knows (§5.3.3).
mod feature {
    pub(super) const SIZE: u8 = 0;
    pub(super) const MULTIPORT: u8 = 1;
    pub(super) const EMERG_WRITE: u8 = 2;
}

impl Device for Console {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-console",
        version: 3,
        minimum_version: 3,
        id: 3,
        title: "console device",
        features: &[
            (feature::SIZE, "SIZE"),
            (feature::MULTIPORT, "MULTIPORT"),
            (feature::EMERG_WRITE, "EMERG_WRITE"),
        ],
        queue_name: |index, _| {
            let name = if index % 2 == 0 { "receiveq" } else { "transmitq" };
            match index / 2 {
                0 => format!("{name}(port0)"),
                1 => format!("control {name}"),
                pair => format!("{name}(port{})", pair - 1),
            }
        },
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

    fn post_load(&mut self, _: &Known<'_>, findings: &mut Findings) {
        for Port { id, element, .. } in self.ports.iter() {
            if !self.has_port(*id) {
                let message = format!("there is state of port {id}, which ports_map does not have");
                findings.add_device(430, Severity::FailsLoad, message);
            }
            if let Some(popped) = element
                && !popped.is_inside()
            {
                // QEMU does not check, and goes on with a length below 0.
                let PoppedElement { iov_idx, iov_offset, .. } = popped;
                let message = format!(
                    "port {id}: byte {iov_offset} of buffer {iov_idx} is not in the element read out"
                );
                findings.add_device(431, Severity::Warning, message);
            }
        }
    }
}

impl PoppedElement {
    /// Whether the place in the element is one of its buffers', or the end of the last.
    fn is_inside(&self) -> bool {
        let buffers = &self.element.out_sg;
        match buffers.get(self.iov_idx as usize) {
            Some(buffer) => self.iov_offset <= buffer.len,
            None => self.iov_idx as usize == buffers.len() && self.iov_offset == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::{Bench, saved};
    use crate::element::Buffer;

    /// 31 ports at most.
    fn bench() -> Bench {
        Bench::of(const { &Console::TYPE }).queues(64)
    }

    fn popped() -> PoppedElement {
        let out_sg = vec![Buffer { addr: 0x1000, len: 16 }, Buffer { addr: 0x2000, len: 8 }];
        PoppedElement { iov_idx: 1, iov_offset: 8, element: Element { out_sg, ..Element::default() } }
    }

    fn console(ports: Vec<Port>) -> Console {
        Console { max_nr_ports: 31, ports_map: vec![0b11], ports: ports.into(), ..Console::default() }
    }

    fn blocked(id: u32, element: PoppedElement) -> Port {
        Port { id, guest_connected: true, elem_popped: 1, element: Some(element), ..Port::default() }
    }

    #[test]
    fn round_trips() {
        let state = console(vec![Port::default(), blocked(1, popped())]);
        assert_eq!(bench().round_trip::<Console>(&saved(&state)), state);
    }

    #[test]
    fn the_ports_map_is_as_long_as_the_queues_ask_for() {
        assert_eq!([4, 64, 66, 68, 1024].map(ports_map_words), [1, 1, 1, 2, 16]);
        let state = Console { ports_map: vec![1; 16], ..Console::default() };
        bench().queues(1024).round_trip::<Console>(&saved(&state));
        bench().load::<Console>(&saved(&state)).unwrap_err();
    }

    #[test]
    fn finds_a_port_that_is_not_there() {
        let finding = bench().finding::<Console>(&saved(&console(vec![Port { id: 2, ..Port::default() }])));
        let message = "VM0430 there is state of port 2, which ports_map does not have";
        assert_eq!(finding, (message.to_owned(), Severity::FailsLoad));
    }

    #[test]
    fn finds_a_place_outside_the_element() {
        let past_buffer = PoppedElement { iov_offset: 9, ..popped() };
        let past_end = PoppedElement { iov_idx: 2, ..popped() };
        for element in [past_buffer, past_end] {
            let (message, severity) = bench().finding::<Console>(&saved(&console(vec![blocked(0, element)])));
            assert!(message.starts_with("VM0431 port 0: byte"), "{message}");
            assert_eq!(severity, Severity::Warning);
        }
    }

    #[test]
    fn refuses_more_ports_than_there_are_bytes() {
        let mut data = saved(&console(Vec::new()));
        let count = data.len() - 4;
        data[count..].fill(0xff);
        let error = bench().load::<Console>(&data).unwrap_err();
        assert_eq!(error.path(), "virtio-console › ports");
    }

    #[test]
    fn names_queues() {
        let name = Console::TYPE.queue_name;
        let names = [0, 1, 2, 3, 4, 5].map(|index| name(index, 6));
        assert_eq!(names[..2], ["receiveq(port0)", "transmitq(port0)"]);
        assert_eq!(
            names[2..],
            ["control receiveq", "control transmitq", "receiveq(port1)", "transmitq(port1)"]
        );
    }
}
