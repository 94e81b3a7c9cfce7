//! Translation by a virtio-iommu (virtio 1.3 §5.13): domains of mappings, to which endpoints belong.

use std::collections::BTreeMap;

use super::{Blocked, Identity, Translate};
use crate::device::iommu_state::{Domain, Interval, IommuState, Mapping};
use crate::memory::MemoryError;

/// The translation for an endpoint; the number of a PCI device is its requester id.
pub(super) fn for_endpoint(state: &IommuState, endpoint: u32) -> Box<dyn Translate + '_> {
    let mut domains = state.domains.0.iter().map(|(_, domain)| domain);
    let attached = |domain: &&Domain| domain.endpoints.iter().any(|other| other.id == endpoint);
    match domains.find(attached) {
        None if state.bypass == 0 => Box::new(Blocked),
        None => Box::new(Identity),
        Some(domain) if domain.bypass => Box::new(Identity),
        Some(domain) => Box::new(Mappings::new(&domain.mappings.0)),
    }
}

/// The readable mappings of a domain, by their first address.
struct Mappings<'a>(BTreeMap<u64, &'a (Interval, Mapping)>);

impl<'a> Mappings<'a> {
    fn new(mappings: &'a [(Interval, Mapping)]) -> Self {
        let readable = mappings.iter().filter(|(_, mapping)| mapping.flags & Mapping::READ != 0);
        Self(readable.map(|mapping| (mapping.0.low, mapping)).collect())
    }
}

impl Translate for Mappings<'_> {
    fn translate(&self, iova: u64, length: u64) -> Result<(u64, u64), MemoryError> {
        let fault = MemoryError::Fault { address: iova };
        let Some((_, (interval, mapping))) = self.0.range(..=iova).next_back() else { return Err(fault) };
        let Some(after) = interval.high.checked_sub(iova) else { return Err(fault) };
        let gpa = mapping.phys_addr.checked_add(iova - interval.low).ok_or(fault)?;
        Ok((gpa, length.min(after.saturating_add(1))))
    }
}

#[cfg(test)]
mod tests {
    use vmstate::types::{List, Tree};

    use super::*;
    use crate::device::iommu_state::Endpoint;

    fn state() -> IommuState {
        let map = |low, high, phys_addr, flags| (Interval { low, high }, Mapping { phys_addr, flags });
        let domain = |id, endpoints: &[u32], bypass, mappings| Domain {
            id,
            mappings: Tree(mappings),
            endpoints: List(endpoints.iter().map(|&id| Endpoint { id }).collect()),
            bypass,
        };
        let mapped = vec![
            map(0x1000, 0x2fff, 0x8_0000, Mapping::READ | Mapping::WRITE),
            map(0x3000, 0x3fff, 0x4_0000, Mapping::WRITE),
            map(u64::MAX - 0xfff, u64::MAX, 0x5000, Mapping::READ),
        ];
        IommuState {
            domains: Tree(vec![
                (1, domain(1, &[8, 0x10], false, mapped)),
                (2, domain(2, &[0x18], true, vec![])),
            ]),
            bypass: 0,
        }
    }

    #[test]
    fn hits() {
        let state = state();
        let translate = for_endpoint(&state, 0x10);
        assert_eq!(translate.translate(0x1000, 2).unwrap(), (0x8_0000, 2));
        assert_eq!(translate.translate(0x2ffe, 0x5000).unwrap(), (0x8_1ffe, 2));
        assert_eq!(translate.translate(u64::MAX, 9).unwrap(), (0x5fff, 1));
    }

    #[test]
    fn misses() {
        let state = state();
        let translate = for_endpoint(&state, 8);
        for iova in [0, 0xfff, 0x3000, 0x4000, u64::MAX - 0x1000] {
            assert_eq!(translate.translate(iova, 2), Err(MemoryError::Fault { address: iova }), "{iova:#x}");
        }
    }

    #[test]
    fn bypasses() {
        let mut state = state();
        assert_eq!(for_endpoint(&state, 0x18).translate(0x7777, 2).unwrap(), (0x7777, 2));
        assert!(for_endpoint(&state, 0x20).translate(0x7777, 2).is_err());
        state.bypass = 1;
        assert_eq!(for_endpoint(&state, 0x20).translate(0x7777, 2).unwrap(), (0x7777, 2));
        assert!(for_endpoint(&state, 8).translate(0x7777, 2).is_err());
    }

    #[test]
    fn mappings_that_make_no_sense_are_harmless() {
        let interval = Interval { low: 0x2000, high: 0x1000 };
        let wrap = Interval { low: 0x3000, high: u64::MAX };
        let nonsense = [
            (interval, Mapping { phys_addr: 0, flags: 1 }),
            (wrap, Mapping { phys_addr: u64::MAX, flags: 1 }),
        ];
        let mappings = Mappings::new(&nonsense);
        assert!(mappings.translate(0x2000, 2).is_err());
        assert_eq!(mappings.translate(0x3000, 2).unwrap(), (u64::MAX, 2));
        assert!(mappings.translate(0x3001, 2).is_err());
    }
}
