//! Any access of any width at any place: nothing panics, and a device can be stopped and reset at any time.

use proptest::prelude::*;
use virtio::live::Window;

use super::*;

fn accesses() -> impl Strategy<Value = Vec<(bool, u8, u64, usize, u64)>> {
    // Most are where something is.
    let offset = prop_oneof![0_u64..0x120, 0x1000_u64..0x1010, 0x3000_u64..0x3010, any::<u64>()];
    let value = prop_oneof![0_u64..20, Just(DESC), Just(AVAIL), any::<u64>()];
    prop::collection::vec((any::<bool>(), 0_u8..7, offset, 1_usize..=8, value), 1..120)
}

fn window(number: u8) -> Window {
    match number {
        0 => Window::Registers,
        1 => Window::Config,
        bar => Window::Bar(bar - 2),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(is_pci: bool, accesses in accesses()) {
        let memory = memory();
        let mut device = if is_pci { pci(&memory) } else { mmio(&memory) };
        for (is_write, number, offset, bytes, value) in accesses {
            if is_write {
                write(&mut device, window(number), offset, bytes, value);
            } else {
                read(&mut device, window(number), offset, bytes);
            }
            device.core_mut().poll();
            let _ = device.signals();
        }
        prop_assert!(device.stop().is_ok());
        device.core_mut().set_status(0);
        prop_assert_eq!(device.core().status().0, 0);
    }
}
