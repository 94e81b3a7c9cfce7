//! Memory balloon device (virtio 1.3 §5.5): section `virtio-balloon`, data `virtio-balloon-device`,
//! version 1.

mod live;

pub use live::{BalloonHandle, Ballooned, KeepsAll, LiveBalloon};

use serde::{Deserialize, Serialize};
use vmstate::state::{load_subsection, next_subsection, save_subsection};
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::{Data, Device, DeviceType, Known};
use crate::core::BeforeSubsections;
use crate::finding::{Findings, Severity};

/// State of a balloon device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balloon {
    /// What every version writes.
    #[serde(flatten)]
    pub state: BalloonState,
    /// The value of poisoned pages, under the name that QEMU 5.2 gives its subsection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misspelt_page_poison: Option<MisspeltPagePoison>,
}

/// `virtio-balloon-device`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-balloon-device")]
pub struct BalloonState {
    /// Pages of 4 KiB that the host wants back.
    pub num_pages: u32,
    /// Pages of 4 KiB that the guest has given.
    pub actual: u32,
    /// Free page hinting, if `FREE_PAGE_HINT` was negotiated.
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_page_report: Option<FreePageReport>,
    /// Page poisoning, if `PAGE_POISON` was negotiated.
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_poison: Option<PagePoison>,
}

/// `virtio-balloon-device/free-page-report`: the name is of the days before hinting and reporting were
/// told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-balloon-device/free-page-report")]
pub struct FreePageReport {
    /// The command that the driver is to follow.
    pub free_page_hint_cmd_id: u32,
    /// How far hinting has come: 0 stopped, 1 requested, 2 started, 3 done.
    pub free_page_hint_status: u32,
}

/// `virtio-balloon-device/page-poison`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-balloon-device/page-poison")]
pub struct PagePoison {
    /// What the guest fills free pages with.
    pub poison_val: u32,
}

/// `vitio-balloon-device/page-poison`: [`PagePoison`] as QEMU 5.2 writes it.
///
/// Since its name does not begin with that of the struct it belongs to, a loader takes it neither for
/// one of the balloon's nor for one of the core's, and stops there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "vitio-balloon-device/page-poison")]
pub struct MisspeltPagePoison {
    /// What the guest fills free pages with.
    pub poison_val: u32,
}

/// Features that the running device knows (§5.5.3).
mod feature {
    pub(super) const STATS_VQ: u8 = 1;
    pub(super) const DEFLATE_ON_OOM: u8 = 2;
}

impl Device for Balloon {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-balloon",
        id: 5,
        title: "memory balloon device",
        features: &[
            (0, "MUST_TELL_HOST"),
            (feature::STATS_VQ, "STATS_VQ"),
            (feature::DEFLATE_ON_OOM, "DEFLATE_ON_OOM"),
            (3, "FREE_PAGE_HINT"),
            (4, "PAGE_POISON"),
            (5, "PAGE_REPORTING"),
        ],
        queue_name: |index, count| {
            match (index, count) {
                (0, _) => "inflateq",
                (1, _) => "deflateq",
                (2, _) => "statsq",
                // The last two are there if their features are offered; there can be only the second.
                (3, 4) => "free_page_vq or reporting_vq",
                (3, _) => "free_page_vq",
                _ => "reporting_vq",
            }
            .to_owned()
        },
        data: Data::Within(BalloonState::DESCRIPTION),
        ..DeviceType::PLAIN
    };

    fn load_device(_: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
        let state = BalloonState::load_body(input, Self::TYPE.version, &())?;
        let mut misspelt_page_poison = None;
        while next_subsection(input, "vitio-balloon-device") == Some(MisspeltPagePoison::DESCRIPTION.name) {
            load_subsection(&mut misspelt_page_poison, input, &())?;
        }
        Ok(Self { state, misspelt_page_poison })
    }

    fn save_device(&self, out: &mut Writer) {
        VmState::<()>::save_body(&self.state, out);
        save_subsection::<(), _>(self.misspelt_page_poison.as_ref(), out);
    }

    fn post_load(&mut self, _: &Known<'_>, findings: &mut Findings) {
        if self.misspelt_page_poison.is_some() {
            let (found, expected) = (MisspeltPagePoison::DESCRIPTION.name, PagePoison::DESCRIPTION.name);
            let message = format!(
                "subsection `{found}`, expected `{expected}`: QEMU 5.2 misspells it, and no QEMU, not even 5.2, \
                 loads such a stream (Missing section footer); later ones write the right name"
            );
            findings.add_device(440, Severity::FailsLoad, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::{Bench, saved};

    fn bench() -> Bench {
        Bench::of(const { &Balloon::TYPE })
    }

    fn balloon() -> Balloon {
        let free_page_report =
            Some(FreePageReport { free_page_hint_cmd_id: 0x8000_0000, free_page_hint_status: 0 });
        let state = BalloonState { num_pages: 0x1_0000, actual: 0xffff, free_page_report, page_poison: None };
        Balloon { state, misspelt_page_poison: None }
    }

    #[test]
    fn round_trips() {
        let mut poison = balloon();
        poison.state.page_poison = Some(PagePoison { poison_val: 0xaaaa_aaaa });
        for state in [Balloon::default(), balloon(), poison] {
            assert_eq!(bench().round_trip::<Balloon>(&saved(&state)), state);
        }
    }

    #[test]
    fn finds_the_misspelt_name_and_keeps_it() {
        let misspelt_page_poison = Some(MisspeltPagePoison { poison_val: 7 });
        let state = Balloon { misspelt_page_poison, ..balloon() };
        let data = saved(&state);
        let (message, severity) = bench().finding::<Balloon>(&data);
        assert!(message.starts_with("VM0440 subsection `vitio-balloon-device/page-poison`"), "{message}");
        assert_eq!(severity, Severity::FailsLoad);

        let twice = [data.as_slice(), &data[data.len() - 42..]].concat();
        let error = bench().load::<Balloon>(&twice).unwrap_err();
        assert!(error.to_string().contains("comes a second time"), "{error}");
    }

    #[test]
    fn refuses_a_subsection_it_does_not_know() {
        let mut data = saved(&Balloon::default());
        data.extend(b"\x05\x17virtio-balloon-device/x\0\0\0\x01");
        let error = bench().load::<Balloon>(&data).unwrap_err();
        assert!(error.to_string().contains("free-page-report, virtio-balloon-device/page-poison"), "{error}");
    }
}
