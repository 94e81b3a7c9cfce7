//! A driver of a device that runs: the first byte says of which, the others what it does.

use virtio::core::{Features, Status};
use vm_memory::{Bytes, GuestAddress};

use crate::devices::KINDS;
use crate::victim::{BUFFERS, RINGS, Victim};

pub(crate) fn split(bytes: &[u8]) {
    drive(false, bytes);
}

pub(crate) fn packed(bytes: &[u8]) {
    drive(true, bytes);
}

/// The device is broken or it is not, and says so; it stops whatever was done to it.
fn drive(is_packed: bool, bytes: &[u8]) {
    let Some((&kind, mut steps)) = bytes.split_first() else { return };
    let mut victim = Victim::new(&KINDS[usize::from(kind) % KINDS.len()], is_packed);
    while step(&mut victim, &mut steps).is_some() {
        let needs_reset = victim.core.status().has(Status::DEVICE_NEEDS_RESET);
        assert_eq!(victim.core.broken().is_some(), needs_reset);
    }
    victim.core.stop().unwrap();
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// What the driver does next; `None` when it is done.
fn step(victim: &mut Victim, bytes: &mut &[u8]) -> Option<()> {
    let queues = victim.core.queues().len();
    let queue = |number: u8| usize::from(number) % queues;
    let [what] = take(bytes)?;
    match what % 8 {
        // A descriptor in a ring, of a buffer or of a table.
        0 => {
            let [number, index, a0, a1, l0, l1, flags, next] = take(bytes)?;
            let at = RINGS + 0x1000 * queue(number) as u64 + 16 * u64::from(index % 8);
            let address = BUFFERS + u64::from(u16::from_le_bytes([a0, a1]));
            let len = u16::from_le_bytes([l0, l1]);
            victim.put(at, &[(address, len.into(), flags.into(), next.into())]);
        }
        // Anything there.
        1 => {
            let [p0, p1, value @ ..] = take::<10>(bytes)?;
            let at = RINGS + u64::from(u16::from_le_bytes([p0, p1]) & 0x7ff8);
            victim.memory.write_slice(&value, GuestAddress(at)).unwrap();
        }
        2 => {
            let [number, idx, head] = take(bytes)?;
            victim.avail(queue(number), idx.into(), head.into());
        }
        // What is in buffers and tables.
        3 => {
            let [p0, p1, count] = take(bytes)?;
            let (content, rest) = bytes.split_at_checked((count % 64).into())?;
            *bytes = rest;
            let at = BUFFERS + u64::from(u16::from_le_bytes([p0, p1]));
            victim.memory.write_slice(content, GuestAddress(at)).unwrap();
        }
        4 => {
            let [number] = take(bytes)?;
            victim.work([queue(number)]);
        }
        5 => victim.work(0..queues),
        6 => {
            let [offset, value] = take(bytes)?;
            victim.core.write_config(offset.into(), &[value]);
        }
        _ => {
            let [known] = take(bytes)?;
            // A modern driver, in this byte's bits of the device's own features.
            let known = Features(!0xff | u128::from(known));
            victim.set_up(known);
        }
    }
    Some(())
}
