//! Device types: one file each, with its state, its migration hooks and its checks.
//!
//! # To add a device
//! 1. Write `device/<name>.rs`: a state struct (derive [`vmstate::VmState`] where the layout allows),
//!    and [`Device`] for it. What depends on byte order or on features above 31 goes into `post_load`.
//! 2. Add one line to the list below.
//!
//! # Devices that are not here
//! virtio-pmem, vhost-user-gpu and vhost-user-vga write no section: they come back as after a reset.
//! What virtio-vga has beside its virtio-gpu is described state (section `virtio-vga`). Types that QEMU
//! does not migrate are in [`unmigratable`].

pub mod backend;
pub mod balloon;
pub mod blk;
pub mod bytes;
pub mod console;
pub mod disk;
pub mod fs;
pub mod gpu;
mod in_flight;
pub mod input;
pub mod iommu;
pub mod iommu_state;
mod kind;
mod mac;
pub mod mem;
pub mod net;
pub mod no_state;
pub mod nsm;
pub mod rng;
pub mod scsi;
#[cfg(test)]
pub(crate) mod testing;
pub mod unmigratable;
pub mod vsock;
pub mod zero_terminated;

use serde::Serialize;
use vmstate::{ErrorKind, Reader, Result, Writer};

pub use in_flight::HasSwitches;
pub use kind::{Data, Device, DeviceType, Known};
pub use mac::Mac;

use crate::core::BeforeSubsections;
use crate::finding::Findings;
use crate::json::JsonError;

/// The list of device types; all that has a case for each type is made from it.
macro_rules! devices {
    ($($(#[$doc:meta])* $variant:ident($state:ty),)*) => {
        /// The state of a device, of any type.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum DeviceState {
            $($(#[$doc])* $variant($state),)*
        }

        /// All device types.
        pub static DEVICES: &[DeviceType] = &[$(<$state as Device>::TYPE,)*];

        impl DeviceState {
            /// The state of a device of this type out of its JSON form.
            ///
            /// # Errors
            /// If it is not of that form.
            pub fn from_json(kind: &DeviceType, json: &serde_json::Value) -> Result<Self, JsonError> {
                $(if kind.section == <$state as Device>::TYPE.section {
                    return JsonError::located(json).map(Self::$variant);
                })*
                Err(JsonError::new(format!("a device of type {} has no state", kind.section)))
            }

            /// Reads the device's own data, in the middle of the load procedure.
            ///
            /// # Errors
            /// If the input ends early or a value is not allowed.
            pub fn load_device(cx: BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
                let DeviceType { section, unmigratable, .. } = cx.shape.device;
                $(if *section == <$state as Device>::TYPE.section {
                    return <$state as Device>::load_device(&cx, input).map(Self::$variant);
                })*
                let why = unmigratable.unwrap_or("its data is not known");
                Err(input.fail(ErrorKind::Unsupported(format!("a device of type {section} ({why})").into())))
            }

            /// Writes the device's own data.
            pub fn save_device(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant(state) => state.save_device(out),)*
                }
            }

            /// Does what had to wait for byte order and features.
            pub fn post_load(&mut self, known: &Known<'_>, findings: &mut Findings) {
                match self {
                    $(Self::$variant(state) => state.post_load(known, findings),)*
                }
            }

            /// Reads what the device's section has after the virtio state, and checks it.
            ///
            /// # Errors
            /// If the input ends early or a value is not allowed.
            pub fn load_rest(
                &mut self,
                cx: &BeforeSubsections,
                input: &mut Reader<'_>,
                findings: &mut Findings,
            ) -> Result<()> {
                match self {
                    $(Self::$variant(state) => state.load_rest(cx, input, findings),)*
                }
            }

            /// Writes what the device's section has after the virtio state.
            pub fn save_rest(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant(state) => state.save_rest(out),)*
                }
            }

            /// The type of the device.
            #[must_use]
            pub fn device_type(&self) -> &'static DeviceType {
                match self {
                    $(Self::$variant(_) => const { &<$state as Device>::TYPE },)*
                }
            }
        }
    };
}

devices! {
    /// Network.
    Net(net::Net),
    /// Block.
    Blk(blk::Blk),
    /// Block, by a vhost-user back-end.
    VhostUserBlk(no_state::VhostUserBlk),
    /// Console.
    Console(console::Console),
    /// Entropy source.
    Rng(no_state::Rng),
    /// Memory balloon.
    Balloon(balloon::Balloon),
    /// SCSI host.
    Scsi(no_state::Scsi),
    /// SCSI host, in the host's kernel.
    VhostScsi(no_state::VhostScsi),
    /// 9P transport.
    NineP(no_state::NineP),
    /// GPU.
    Gpu(gpu::Gpu),
    /// Input.
    Input(no_state::Input),
    /// Socket.
    Vsock(no_state::Vsock),
    /// IOMMU.
    Iommu(iommu_state::IommuState),
    /// Memory.
    Mem(mem::Mem),
    /// File system.
    Fs(fs::Fs),
    /// Nitro Secure Module.
    Nsm(nsm::Nsm),
}

impl DeviceType {
    /// The device type whose sections have this name.
    #[must_use]
    pub fn of_section(name: &str) -> Option<&'static Self> {
        DEVICES.iter().chain(unmigratable::UNMIGRATABLE).find(|device| device.section == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_section_has_one_type() {
        let all: Vec<_> = DEVICES.iter().chain(unmigratable::UNMIGRATABLE).collect();
        let sections: HashSet<_> = all.iter().map(|device| device.section).collect();
        assert_eq!(sections.len(), all.len());
        for device in all {
            assert!(device.minimum_version <= device.version && !device.title.is_empty(), "{device:?}");
            assert!(device.features.is_sorted_by(|(a, _), (b, _)| a < b), "{}", device.section);
        }
    }

    #[test]
    fn a_type_that_is_not_migrated_is_named_and_refused() {
        let device = DeviceType::of_section("virtio-crypto").unwrap();
        let bench = testing::Bench::of(device);
        let error = DeviceState::load_device(bench.cx(), &mut Reader::new(&[], 0)).unwrap_err();
        assert!(
            error.to_string().contains("virtio-crypto (State blocked by non-migratable device)"),
            "{error}"
        );
    }
}
