//! Device types: one file each, with its state, its migration hooks and its checks.
//!
//! # To add a device
//! 1. Write `device/<name>.rs`: a state struct (derive [`vmstate::VmState`] where the layout allows),
//!    and [`Device`] for it. What depends on byte order or on features above 31 goes into `post_load`.
//! 2. Add one line to the list below.

pub mod backend;
mod kind;
mod mac;
pub mod net;
pub mod no_state;

use serde::Serialize;
use vmstate::{Reader, Result, Writer};

pub use kind::{Device, DeviceType, Known};
pub use mac::Mac;

use crate::core::BeforeSubsections;
use crate::finding::Findings;

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
            /// Reads the device's own data, in the middle of the load procedure.
            ///
            /// # Errors
            /// If the input ends early or a value is not allowed.
            pub fn load_device(cx: BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
                let section = cx.shape.device.section;
                $(if section == <$state as Device>::TYPE.section {
                    return <$state as Device>::load_device(&cx, input).map(Self::$variant);
                })*
                Err(input.fail(vmstate::ErrorKind::Unsupported(format!("a device of type {section}").into())))
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

            /// Reads what the device's section has after the virtio state.
            ///
            /// # Errors
            /// If the input ends early or a value is not allowed.
            pub fn load_rest(&mut self, cx: &BeforeSubsections, input: &mut Reader<'_>) -> Result<()> {
                match self {
                    $(Self::$variant(state) => state.load_rest(cx, input),)*
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
    /// Entropy source.
    Rng(no_state::Rng),
}

impl DeviceType {
    /// The device type whose sections have this name.
    #[must_use]
    pub fn of_section(name: &str) -> Option<&'static Self> {
        DEVICES.iter().find(|device| device.section == name)
    }
}
