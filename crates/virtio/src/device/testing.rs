//! A device with nothing but its own data, for the tests of device types.

use vmstate::{Error, Reader, Writer};

use super::{Device, DeviceType, Known};
use crate::core::{BeforeSubsections, Core, Endianness, Features, Queue};
use crate::finding::{Finding, Findings, Severity};
use crate::shape::{Shape, Switch};
use crate::transport::TransportKind;

/// What a device's data is read with.
pub(crate) struct Bench {
    core: Core,
    shape: Shape,
}

impl Bench {
    /// A device with one queue and no features.
    pub(crate) fn of(device: &'static DeviceType) -> Self {
        let core = Core { queues: vec![Queue::default()], ..Core::default() };
        Self { core, shape: Shape::unknown(device, TransportKind::Mmio, Endianness::Little) }
    }

    pub(crate) fn features(mut self, features: u32) -> Self {
        self.core.guest_features = features;
        self
    }

    pub(crate) fn queues(mut self, count: usize) -> Self {
        self.core.queues = vec![Queue::default(); count];
        self
    }

    pub(crate) fn switch(mut self, switch: Switch) -> Self {
        self.shape.switches = self.shape.switches.with(switch);
        self
    }

    pub(crate) fn cx(&self) -> BeforeSubsections {
        self.core.before_subsections(self.shape)
    }

    /// Loads a device from its data, to the last byte; subsections of the core would come in between.
    pub(crate) fn load<D: Device>(&self, data: &[u8]) -> Result<(D, Findings), Error> {
        let (mut input, mut findings) = (Reader::new(data, 0), Findings::default());
        let mut device = D::load_device(&self.cx(), &mut input)?;
        let features = Features::from(self.core.guest_features);
        let known = Known { core: &self.core, endianness: Endianness::Little, features, rings: &[] };
        device.post_load(&known, &mut findings);
        device.load_rest(&self.cx(), &mut input, &mut findings)?;
        input.finish()?;
        Ok((device, findings))
    }

    /// Loads a healthy device, and checks that it is saved as the same bytes.
    pub(crate) fn round_trip<D: Device>(&self, data: &[u8]) -> D {
        let (device, findings) = self.load::<D>(data).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(saved(&device), data);
        device
    }

    /// The one finding of a device.
    pub(crate) fn finding<D: Device>(&self, data: &[u8]) -> (String, Severity) {
        let (device, findings) = self.load::<D>(data).unwrap();
        assert_eq!(saved(&device), data, "what is wrong is still saved as it was");
        only(&findings)
    }
}

/// The one finding there is: code and message, and what QEMU does about it.
pub(crate) fn only(findings: &Findings) -> (String, Severity) {
    let all: Vec<&Finding> = findings.iter().collect();
    let [finding] = all.as_slice() else { panic!("{findings:?}") };
    (format!("{} {finding}", finding.code()), finding.severity())
}

/// A device's data.
pub(crate) fn saved<D: Device>(device: &D) -> Vec<u8> {
    let mut out = Writer::new();
    device.save_device(&mut out);
    device.save_rest(&mut out);
    out.into_bytes()
}
