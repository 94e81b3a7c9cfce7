//! `info qtree`: the tree of devices, with their properties, as QEMU prints it for people.

use std::collections::BTreeMap;

use super::Bar;

/// A device of the tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// QEMU's name of its type.
    pub(super) ty: String,
    /// Its properties, as they are printed.
    properties: BTreeMap<String, String>,
    /// Base address registers.
    pub(super) bars: Vec<Bar>,
    /// The guest-physical address of its first memory region.
    pub(super) mmio: Option<String>,
    /// The devices on its buses.
    pub(super) children: Vec<Node>,
}

impl Node {
    /// Reads what QEMU printed. Lines that mean nothing here are skipped.
    pub(super) fn parse(text: &str) -> Vec<Self> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
        let mut roots = Vec::new();
        while lines.peek().is_some() {
            let before = lines.clone().count();
            roots.extend(devices(&mut lines, 0));
            if lines.clone().count() == before {
                lines.next();
            }
        }
        roots
    }

    /// A property as a value: a string without its quotes, a number in decimal, `true` or `false`.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        let text = self.properties.get(name)?;
        if let Some(quoted) = text.strip_prefix('"') {
            return quoted.strip_suffix('"');
        }
        text.split(' ').next().filter(|value| !value.starts_with('<'))
    }

    /// A property that is on or off.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.property(name)? {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => None,
        }
    }

    /// A property that is a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.property(name)?.parse().ok()
    }

    fn line(&mut self, line: &str) {
        if let Some((name, value)) = line.split_once(" = ") {
            self.properties.insert(name.to_owned(), value.to_owned());
        } else if let Some(bar) = line.strip_prefix("bar ").and_then(bar) {
            self.bars.push(bar);
        } else if let Some(region) = line.strip_prefix("mmio ")
            && self.mmio.is_none()
        {
            self.mmio = region.split_once('/').map(|(address, _)| address.to_owned());
        }
    }
}

/// How deep a tree is read: QEMU's own are far below.
const DEEPEST: usize = 64;

/// The devices of the buses that are printed further in than `outer`.
fn devices<'a, I>(lines: &mut std::iter::Peekable<I>, outer: usize) -> Vec<Node>
where
    I: Iterator<Item = &'a str> + Clone,
{
    let mut found = Vec::new();
    if outer > DEEPEST * 2 {
        return found;
    }
    while let Some(line) = lines.peek().copied() {
        let (indent, text) = (indent(line), line.trim_start());
        if indent < outer {
            break;
        }
        lines.next();
        if let Some(rest) = text.strip_prefix("dev: ") {
            found.push(device(rest, lines, indent));
        }
    }
    found
}

fn device<'a, I>(head: &str, lines: &mut std::iter::Peekable<I>, outer: usize) -> Node
where
    I: Iterator<Item = &'a str> + Clone,
{
    let ty = head.split(',').next().unwrap_or_default().to_owned();
    let mut node = Node { ty, ..Node::default() };
    while let Some(line) = lines.peek().copied() {
        let (indent, text) = (indent(line), line.trim_start());
        if indent <= outer {
            break;
        }
        lines.next();
        if text.starts_with("bus: ") {
            node.children.extend(devices(lines, indent + 1));
        } else {
            node.line(text);
        }
    }
    node
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `4: mem at 0xffffffffffffffff [0x3ffe]`: the address is all ones while there is none, and so the last
/// byte's counts from there.
fn bar(text: &str) -> Option<Bar> {
    let (index, rest) = text.split_once(": ")?;
    let (kind, rest) = rest.split_once(" at 0x")?;
    let (start, end) = rest.split_once(" [0x")?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end.strip_suffix(']')?, 16).ok()?;
    let size = end.wrapping_sub(start).wrapping_add(1);
    Some(Bar { index: index.parse().ok()?, size, io: kind == "i/o" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
bus: main-system-bus
  type System
  dev: q35-pcihost, id \"\"
    MCFG = -1 (0xffffffffffffffff)
    bus: pcie.0
      type PCIE
      dev: pcie-root-port, id \"rp\"
        addr = 02.0
        bus: rp
          type PCIE
          dev: virtio-blk-pci, id \"b0\"
            disable-legacy = \"auto\"
            disable-modern = false
            addr = 00.0
            bar 1: mem at 0xffffffffffffffff [0xffe]
            bar 0: i/o at 0x1000 [0x107f]
            bus: virtio-bus
              type virtio-pci-bus
              dev: virtio-blk-device, id \"\"
                num-queues = 4 (0x4)
                serial = \"a = b\"
                iothread = <null>
  dev: virtio-mmio, id \"\"
    mmio 00000000feb02e00/0000000000000200
";

    #[test]
    fn reads_devices_where_they_are() {
        let tree = Node::parse(TREE);
        let [host, mmio] = tree.as_slice() else { panic!("{tree:#?}") };
        assert_eq!(mmio.mmio.as_deref(), Some("00000000feb02e00"));
        let port = &host.children[0];
        let proxy = &port.children[0];
        let device = &proxy.children[0];
        assert_eq!((port.ty.as_str(), port.property("addr")), ("pcie-root-port", Some("02.0")));
        assert_eq!(
            (proxy.property("disable-legacy"), proxy.flag("disable-modern")),
            (Some("auto"), Some(false))
        );
        let bars = [Bar { index: 1, size: 0x1000, io: false }, Bar { index: 0, size: 0x80, io: true }];
        assert_eq!(proxy.bars, bars);
        assert_eq!((device.number("num-queues"), device.property("serial")), (Some(4), Some("a = b")));
        assert_eq!(device.property("iothread"), None);
    }

    #[test]
    fn what_is_not_a_tree_is_nothing() {
        assert!(Node::parse("").is_empty());
        assert!(Node::parse("what\n    is\n  this\nbus:").is_empty());
    }
}
