//! IOMMU device (virtio 1.3 §5.13): section `virtio-iommu`, data [`IommuState`], version 2.
//!
//! The section comes before those of the devices that are behind it. What the host decides about it (page
//! sizes, the range of addresses) is not in its data.

use std::collections::BTreeMap;

use vmstate::{Described, Reader, Result, VmState, Writer};

use super::iommu_state::IommuState;
use super::{Data, Device, DeviceType, Known};
use crate::core::BeforeSubsections;
use crate::finding::{Findings, Severity};

impl Device for IommuState {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-iommu",
        version: 2,
        minimum_version: 2,
        id: 23,
        title: "IOMMU device",
        features: &[
            (0, "INPUT_RANGE"),
            (1, "DOMAIN_RANGE"),
            (2, "MAP_UNMAP"),
            (3, "BYPASS"),
            (4, "PROBE"),
            (5, "MMIO"),
            (6, "BYPASS_CONFIG"),
        ],
        queue_name: |index, _| if index == 0 { "requestq" } else { "eventq" }.to_owned(),
        data: Data::Within(Self::DESCRIPTION),
        ..DeviceType::PLAIN
    };

    fn load_device(_: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
        Self::load_body(input, Self::TYPE.version, &())
    }

    fn save_device(&self, out: &mut Writer) {
        VmState::<()>::save_body(self, out);
    }

    /// QEMU checks nothing here; that each endpoint is a device of the destination it takes for granted,
    /// and aborts if it is not so.
    fn post_load(&mut self, _: &Known<'_>, findings: &mut Findings) {
        let mut domain_of = BTreeMap::new();
        for (domain, state) in &self.domains.0 {
            for endpoint in state.endpoints.iter() {
                if let Some(other) = domain_of.insert(endpoint.id, domain) {
                    let message = format!(
                        "endpoint {:#x} is in domain {domain}, and was in domain {other}: it can be in one",
                        endpoint.id
                    );
                    findings.add_device(470, Severity::Warning, message);
                }
            }
            for (interval, _) in state.mappings.0.iter().filter(|(interval, _)| interval.low > interval.high)
            {
                let message = format!(
                    "domain {domain} maps {:#x} to {:#x}: the first address is above the last",
                    interval.low, interval.high
                );
                findings.add_device(471, Severity::Warning, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vmstate::types::{List, Tree};

    use super::*;
    use crate::device::iommu_state::{Domain, Endpoint, Interval, Mapping};
    use crate::device::testing::{Bench, saved};

    fn bench() -> Bench {
        Bench::of(const { &IommuState::TYPE })
    }

    fn domain(id: u32, endpoint: u32) -> (u64, Domain) {
        let mapping = (Interval { low: 0x1000, high: 0x1fff }, Mapping { phys_addr: 0x4000_0000, flags: 3 });
        let (mappings, endpoints) = (Tree(vec![mapping]), List(vec![Endpoint { id: endpoint }]));
        (id.into(), Domain { id, mappings, endpoints, bypass: false })
    }

    #[test]
    fn round_trips() {
        let state = IommuState { domains: Tree(vec![domain(1, 8), domain(2, 0x10)]), bypass: 1 };
        assert_eq!(bench().round_trip::<IommuState>(&saved(&state)), state);
        bench().round_trip::<IommuState>(&[0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn finds_an_endpoint_in_two_domains() {
        let state = IommuState { domains: Tree(vec![domain(1, 8), domain(2, 8)]), bypass: 0 };
        let (message, _) = bench().finding::<IommuState>(&saved(&state));
        assert_eq!(message, "VM0470 endpoint 0x8 is in domain 2, and was in domain 1: it can be in one");
    }

    #[test]
    fn finds_an_interval_that_ends_before_it_begins() {
        let mut backwards = domain(1, 8);
        backwards.1.mappings.0[0].0.high = 0xfff;
        let state = IommuState { domains: Tree(vec![backwards]), bypass: 0 };
        let (message, severity) = bench().finding::<IommuState>(&saved(&state));
        assert_eq!(message, "VM0471 domain 1 maps 0x1000 to 0xfff: the first address is above the last");
        assert_eq!(severity, Severity::Warning);
    }
}
