//! Who asks: an IOMMU knows devices by the requester id of PCI, the device by its path.

use std::fmt;

/// A requester id (PCI Express §2.2.6.2): bus in bits 15–8, device in bits 7–3, function in bits 2–0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bdf(pub u16);

impl Bdf {
    /// The bus.
    #[must_use]
    pub fn bus(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Device and function.
    #[must_use]
    pub fn devfn(self) -> u8 {
        self.0.to_be_bytes()[1]
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.devfn() >> 3, self.devfn() & 7)
    }
}

/// The requester id of the device at a path; `None` if that is no PCI path, or a bridge on the way has
/// no bus number yet.
///
/// A path is the domain and the root bus, then device and function of each device on the way, as in
/// `0000:00:02.0:00.0`. The bus behind a bridge is not in it: the guest chose its number, and
/// `secondary_bus` gives it, by the bridge's path (`0000:00:02.0`).
///
/// A device behind a bridge from PCI Express to conventional PCI has not its own requester id but the
/// bridge's; virtio devices are not put there.
pub fn requester(path: &str, secondary_bus: impl Fn(&str) -> Option<u8>) -> Option<Bdf> {
    let mut parts = path.split(':');
    let _domain = hex(parts.next()?, 4)?;
    let root = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    let devfns = parts.map(devfn).collect::<Option<Vec<_>>>()?;
    let devfn = *devfns.last()?;
    let bus = match path.rsplit_once(':') {
        Some((bridge, _)) if devfns.len() > 1 => secondary_bus(bridge).filter(|&bus| bus != 0)?,
        _ => root,
    };
    Some(Bdf(u16::from_be_bytes([bus, devfn])))
}

/// The number of the bus behind a bridge, out of its configuration space (PCI-to-PCI bridge
/// specification §3.2.5.3); `None` if it is no bridge's.
#[must_use]
pub fn secondary_bus(config: &[u8]) -> Option<u8> {
    const HEADER_TYPE: usize = 0x0e;
    const SECONDARY_BUS: usize = 0x19;
    let bridge = config.get(HEADER_TYPE)? & 0x7f == 1;
    config.get(SECONDARY_BUS).copied().filter(|_| bridge)
}

/// Device and function, as in `1f.3`.
fn devfn(part: &str) -> Option<u8> {
    let (device, function) = part.split_once('.')?;
    let (device, function) = (hex(device, 2)?, hex(function, 1)?);
    u8::try_from(device << 3 | function).ok().filter(|_| function < 8)
}

fn hex(digits: &str, count: usize) -> Option<u32> {
    let valid = digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<u8> {
        None
    }

    #[test]
    fn on_a_root_bus_the_path_is_enough() {
        assert_eq!(requester("0000:00:03.0", nothing).unwrap().to_string(), "00:03.0");
        assert_eq!(requester("0000:80:1f.7", nothing).unwrap().to_string(), "80:1f.7");
        assert_eq!(requester("0000:00:02.1", nothing), Some(Bdf(0x11)));
    }

    #[test]
    fn behind_bridges_the_last_one_has_the_bus() {
        let bus = |path: &str| match path {
            "0000:00:02.0" => Some(1),
            "0000:00:02.0:04.0" => Some(7),
            "0000:00:05.0" => Some(0),
            _ => None,
        };
        assert_eq!(requester("0000:00:02.0:00.0", bus).unwrap().to_string(), "01:00.0");
        assert_eq!(requester("0000:00:02.0:04.0:1f.1", bus).unwrap().to_string(), "07:1f.1");
        assert_eq!(requester("0000:00:05.0:00.0", bus), None, "firmware has not numbered the bus yet");
    }

    #[test]
    fn other_paths_have_none() {
        for path in [
            "",
            "0000:00",
            "0000:00:20.0",
            "0000:00:01.8",
            "0000:00:1.0",
            "0000:00:+1.0",
            "/fe.0.0001",
            "virtio-mmio@000000000a003e00",
            "pci@800000020000000:01.0",
        ] {
            assert_eq!(requester(path, |_| Some(1)), None, "{path}");
        }
    }

    #[test]
    fn bridges_say_their_bus() {
        let mut config = [0; 256];
        config[0x19] = 3;
        assert_eq!(secondary_bus(&config), None);
        config[0x0e] = 0x81;
        assert_eq!(secondary_bus(&config), Some(3));
        assert_eq!(secondary_bus(&config[..0x19]), None);
    }
}
