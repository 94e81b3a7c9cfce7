//! Negotiated features, which a section has in several places that must agree.

use serde_json::Value;
use virtio::core::{Features, RESERVED_FEATURES};
use virtio::device::DeviceType;

use super::Operator;

/// A set of features that a change names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set(Features);

impl Set {
    /// Reads `MRG_RXBUF,CTRL_VQ`, `0x8000`, or `BIT_77`.
    pub(super) fn parse(text: &str, device: &DeviceType) -> Result<Self, String> {
        if let Some(digits) = text.strip_prefix("0x") {
            let bits =
                u128::from_str_radix(digits, 16).map_err(|_| format!("`{text}` is no hexadecimal number"))?;
            return Ok(Self(Features(bits)));
        }
        let mut bits = 0;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let known = device.features.iter().chain(RESERVED_FEATURES);
            let bit = known.clone().find(|(_, known)| *known == name).map(|&(bit, _)| u32::from(bit));
            let bit = bit.or_else(|| name.strip_prefix("BIT_")?.parse().ok()).filter(|&bit| bit < 128);
            let bit = bit.ok_or_else(|| {
                let names: Vec<_> = known.map(|(_, name)| *name).collect();
                format!("`{name}` is no feature of {}; its features: {}", device.section, names.join(", "))
            })?;
            bits |= 1_u128 << bit;
        }
        Ok(Self(Features(bits)))
    }

    /// Changes the features in the state of a device.
    pub(super) fn change(self, state: &mut Value, operator: Operator) -> Result<(), String> {
        let number = |state: &Value, pointer: &str| state.pointer(pointer).and_then(Value::as_u64);
        let low = number(state, "/core/guest_features").ok_or("the section was not decoded")?;
        let in_subsection = number(state, "/core/subsections/features_64/guest_features");
        let high = number(state, "/core/subsections/features_128/guest_features_hi");
        let before = u128::from(in_subsection.unwrap_or(low)) | u128::from(high.unwrap_or(0)) << 64;
        let after = match operator {
            Operator::Set => self.0.0,
            Operator::Add => before | self.0.0,
            Operator::Remove => before & !self.0.0,
        };
        let word = |index: u32| u32::try_from(after >> (32 * index) & 0xffff_ffff).unwrap_or_default();
        let has = |name: &str| state.pointer(&format!("/core/subsections/{name}")).is_some();
        if !has("features_64") && after >> 32 != 0 {
            return Err("the device offers no feature above 31 (it has no virtio/64bit_features)".to_owned());
        }
        if !has("features_128") && after >> 64 != 0 {
            return Err("the device offers no feature above 63 (it has no virtio/128bit_features)".to_owned());
        }
        let words = [word(0), word(1), word(2), word(3)];
        let half = |low: usize| words.get(low..low + 2).map(Vec::from).unwrap_or_default();
        let set = |state: &mut Value, pointer: &str, value: Value| {
            if let Some(field) = state.pointer_mut(pointer) {
                *field = value;
            }
        };
        let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        set(state, "/core/guest_features", word(0).into());
        set(state, "/core/subsections/features_64/guest_features", join(word(0), word(1)).into());
        set(state, "/core/subsections/features_128/guest_features_hi", join(word(2), word(3)).into());
        // What the driver wrote to a modern transport's registers says the same.
        for transport in ["pci/modern_state", "mmio/state"] {
            let registers = format!("/core/subsections/extra_state/extra_state/{transport}");
            set(state, &format!("{registers}/guest_features"), half(0).into());
            set(state, &format!("{registers}/features128/guest_features"), half(2).into());
        }
        Ok(())
    }
}
