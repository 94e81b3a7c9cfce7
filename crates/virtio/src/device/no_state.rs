//! Device types without data of their own: all their state is in core and transport.

use serde::{Deserialize, Serialize};
use vmstate::{Reader, Result, Writer};

use super::{Device, DeviceType};
use crate::core::BeforeSubsections;

macro_rules! without_state {
    ($($(#[$doc:meta])* $name:ident: $type:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {}

        impl Device for $name {
            const TYPE: DeviceType = $type;
            fn load_device(_: &BeforeSubsections, _: &mut Reader<'_>) -> Result<Self> {
                Ok(Self {})
            }
            fn save_device(&self, _: &mut Writer) {}
        }
    )*};
}

without_state! {
    /// Entropy device (virtio 1.3 §5.4). A request for entropy that is waiting is not carried.
    Rng: DeviceType {
        section: "virtio-rng",
        version: 1,
        minimum_version: 1,
        id: 4,
        title: "entropy device",
        features: &[],
        queue_name: |_, _| "requestq".to_owned(),
        switches: &[],
        unmigratable: None,
    };
}
