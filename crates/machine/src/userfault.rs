//! Memory that comes late (userfaultfd(2), in missing mode): whoever touches a page that is not there waits until it is
//! put there; which one it was can be read.
//!
//! All that is `unsafe` in this crate is in this file: five calls of the operating system.
#![expect(unsafe_code, reason = "the calls of userfaultfd take addresses")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use linux_raw_sys::general::{
    UFFD_API, UFFD_EVENT_PAGEFAULT, UFFD_FEATURE_MISSING_SHMEM, UFFDIO, UFFDIO_REGISTER_MODE_MISSING,
    uffdio_api, uffdio_copy, uffdio_range, uffdio_register, uffdio_zeropage,
};
use linux_raw_sys::ioctl::{UFFDIO_API, UFFDIO_COPY, UFFDIO_REGISTER, UFFDIO_ZEROPAGE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Updater, ioctl, opcode};
use rustix::mm::{UserfaultfdFlags, userfaultfd};
use vm_memory::GuestRegionMmap;
use vm_memory::bitmap::AtomicBitmap;
use zerocopy::FromBytes;

use crate::ram::{PAGE, PAGE_SIZE};

/// The device that gives those a descriptor who must not ask for one otherwise.
const DEVICE: &str = "/dev/userfaultfd";
/// Faults that are read at once.
const AT_ONCE: usize = 32;

/// A descriptor of faults.
#[derive(Debug)]
pub(crate) struct Userfault {
    fd: OwnedFd,
    /// The memory whose pages may be missing; it is mapped as long as this is held.
    memory: Arc<GuestRegionMmap<AtomicBitmap>>,
}

/// A message of the descriptor (`struct uffd_msg`), in the byte order of the host.
#[derive(Debug, Clone, Copy, FromBytes)]
#[repr(C)]
struct Message {
    event: u8,
    reserved: [u8; 7],
    /// Of a fault: its flags, the address, and the thread.
    flags: u64,
    address: u64,
    thread: u64,
}

impl Userfault {
    /// A descriptor for faults of `memory`, kernel's and user's alike: devices have the kernel read and write guest
    /// memory. Nothing faults yet.
    ///
    /// # Errors
    /// If the system gives none, or it knows nothing of shared memory.
    pub(crate) fn new(memory: Arc<GuestRegionMmap<AtomicBitmap>>) -> io::Result<Self> {
        let fd = open()?;
        let features = u64::from(UFFD_FEATURE_MISSING_SHMEM);
        let mut api = uffdio_api { api: u64::from(UFFD_API), features, ioctls: 0 };
        // SAFETY: UFFDIO_API reads and writes a `uffdio_api`, and touches no other memory.
        unsafe { ioctl(&fd, Updater::<UFFDIO_API, _>::new(&mut api)) }?;
        Ok(Self { fd, memory })
    }

    /// From now on whoever touches a page that is not there waits.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn register(&self) -> io::Result<()> {
        let range = uffdio_range { start: self.start(), len: self.memory.size() as u64 };
        let mode = u64::from(UFFDIO_REGISTER_MODE_MISSING);
        let mut register = uffdio_register { range, mode, ioctls: 0 };
        // SAFETY: UFFDIO_REGISTER reads and writes a `uffdio_register`. The range is a whole mapping that `self`
        // keeps, and it is read and written through `vm_memory` only, which expects others to change it at any time.
        unsafe { ioctl(&self.fd, Updater::<UFFDIO_REGISTER, _>::new(&mut register)) }?;
        Ok(())
    }

    /// Puts a page where none is, all of it at once, and wakes who waits for it; whether there was none.
    ///
    /// # Errors
    /// If there is no such page, or the memory is not [registered](Self::register).
    pub(crate) fn put(&self, offset: u64, page: &[u8; PAGE]) -> io::Result<bool> {
        let dst = self.address(offset)?;
        placed(|| {
            let mut copy = uffdio_copy { dst, src: page.as_ptr() as u64, len: PAGE_SIZE, mode: 0, copy: 0 };
            // SAFETY: UFFDIO_COPY reads and writes a `uffdio_copy`, and reads `len` bytes at `src`: those of `page`.
            // It writes `len` bytes at `dst`, a page of the mapping that `self` keeps, which nobody has a reference
            // to; and only if none is there: what is there already stays.
            unsafe { ioctl(&self.fd, Updater::<UFFDIO_COPY, _>::new(&mut copy)) }
        })
    }

    /// Puts a page of zeros where none is; otherwise as [`put`](Self::put).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub(crate) fn put_zeros(&self, offset: u64) -> io::Result<bool> {
        let range = uffdio_range { start: self.address(offset)?, len: PAGE_SIZE };
        placed(|| {
            let mut zeros = uffdio_zeropage { range, mode: 0, zeropage: 0 };
            // SAFETY: UFFDIO_ZEROPAGE reads and writes a `uffdio_zeropage`. It clears a page of the mapping that
            // `self` keeps, as UFFDIO_COPY writes one above.
            unsafe { ioctl(&self.fd, Updater::<UFFDIO_ZEROPAGE, _>::new(&mut zeros)) }
        })
    }

    /// The pages that somebody waits for, by their offset in the memory, since this was last asked; waits so long for
    /// the first.
    ///
    /// # Errors
    /// If the descriptor cannot be read.
    pub(crate) fn faults(&self, within: Duration) -> io::Result<Vec<u64>> {
        let timeout = Timespec::try_from(within).map_err(io::Error::other)?;
        let mut waiting = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; size_of::<Message>() * AT_ONCE];
        let read = match rustix::io::read(&self.fd, &mut bytes) {
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let messages = bytes.chunks_exact(size_of::<Message>()).take(read / size_of::<Message>());
        let faults = messages
            .filter_map(|bytes| Message::read_from_bytes(bytes).ok())
            .filter(|message| u32::from(message.event) == UFFD_EVENT_PAGEFAULT)
            .filter_map(|message| message.address.checked_sub(self.start()));
        Ok(faults.map(|offset| offset - offset % PAGE_SIZE).collect())
    }

    /// Where the memory begins.
    fn start(&self) -> u64 {
        self.memory.as_ptr() as u64
    }

    /// Where a page is, if there is one.
    fn address(&self, offset: u64) -> io::Result<u64> {
        let end = (self.memory.size() as u64).saturating_sub(PAGE_SIZE);
        if offset > end || !offset.is_multiple_of(PAGE_SIZE) {
            let text = format!("no page at {offset:#x}: the last is at {end:#x}, each has {PAGE_SIZE} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(self.start() + offset)
    }
}

/// Whether a page was placed, or another had been before.
fn placed(mut place: impl FnMut() -> rustix::io::Result<()>) -> io::Result<bool> {
    loop {
        match place() {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            // The address space is being changed at this moment.
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A descriptor that is told of all faults: by the call, or where that is not allowed by the device.
fn open() -> io::Result<OwnedFd> {
    let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK;
    // SAFETY: a new descriptor changes no memory; what is done with it is below.
    match unsafe { userfaultfd(flags) } {
        Err(Errno::PERM) => {
            let device = File::open(DEVICE)?;
            // SAFETY: `NewDescriptor` is as its implementation says.
            Ok(unsafe { ioctl(device.as_fd(), NewDescriptor(flags)) }?)
        }
        other => Ok(other?),
    }
}

/// `USERFAULTFD_IOC_NEW`: its argument is flags, not an address, and it gives a descriptor.
struct NewDescriptor(UserfaultfdFlags);

// SAFETY: the opcode is that of `USERFAULTFD_IOC_NEW` (_IO(0xaa, 0)), which takes its argument as a number, writes no
// memory, and returns a descriptor that is new and nobody else's.
unsafe impl Ioctl for NewDescriptor {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        #[expect(clippy::cast_possible_truncation, reason = "0xaa")]
        opcode::none(UFFDIO as u8, 0)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::without_provenance_mut(self.0.bits() as usize)
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<OwnedFd> {
        // SAFETY: the call has succeeded, and so `out` is the new descriptor.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::fs::{MemfdFlags, memfd_create};
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::ram::Ram;

    const WITHIN: Duration = Duration::from_secs(10);

    /// What a test needs, if this system has it.
    fn userfault(ram: &Ram) -> Option<Userfault> {
        let userfault = ram.userfault();
        if let Err(error) = &userfault {
            eprintln!("SKIPPED: no userfaultfd for faults of the kernel here: {error}");
        }
        userfault.ok()
    }

    #[test]
    fn who_touches_a_missing_page_waits_for_it() {
        let ram = Ram::new(1 << 20).unwrap();
        let Some(userfault) = userfault(&ram) else { return };
        ram.write(0, &[1; PAGE]).unwrap();
        ram.write(2 * PAGE_SIZE, &[2; PAGE]).unwrap();
        ram.discard(2 * PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
        userfault.register().unwrap();
        let file = std::fs::File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(PAGE_SIZE).unwrap();
        thread::scope(|scope| {
            // One page is touched by this program, the other by the kernel.
            let read = scope.spawn(|| {
                let mut found = [0; 4];
                ram.memory().read_slice(&mut found, GuestAddress(2 * PAGE_SIZE + 6)).unwrap();
                found
            });
            let by_kernel = scope.spawn(|| {
                let at = GuestAddress(3 * PAGE_SIZE);
                ram.memory().write_all_volatile_to(at, &mut file.try_clone().unwrap(), 8).unwrap();
            });
            let mut faults = Vec::new();
            while faults.len() < 2 {
                let more = userfault.faults(WITHIN).unwrap();
                assert!(!more.is_empty(), "{faults:?}");
                faults.extend(more);
            }
            faults.sort_unstable();
            assert_eq!(faults, [2 * PAGE_SIZE, 3 * PAGE_SIZE]);
            assert!(!read.is_finished() && !by_kernel.is_finished());
            assert!(userfault.put(2 * PAGE_SIZE, &[9; PAGE]).unwrap());
            assert!(userfault.put_zeros(3 * PAGE_SIZE).unwrap());
            assert_eq!(read.join().unwrap(), [9; 4]);
            by_kernel.join().unwrap();
        });
        // What is there stays, and faults no more.
        assert!(!userfault.put(0, &[7; PAGE]).unwrap());
        assert!(!userfault.put_zeros(2 * PAGE_SIZE).unwrap());
        let mut page = [0; PAGE];
        ram.read(0, &mut page).unwrap();
        assert_eq!(page, [1; PAGE]);
        assert!(userfault.faults(Duration::ZERO).unwrap().is_empty());
        for offset in [1, 1 << 20, u64::MAX - 1] {
            assert!(userfault.put_zeros(offset).is_err() && ram.discard(offset, 1 << 20).is_err());
        }
    }
}
