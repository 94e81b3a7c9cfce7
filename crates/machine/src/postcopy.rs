//! A guest that runs here before all of its RAM has come: whoever touches a page that is missing, guest, device or
//! kernel, waits for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use migration::error::Cause;
use migration::guest::PostcopyHome;
use migration::ram::{Content, Page};
use vmstate::ram::PageAddress;
use vmstate::stream::PageSizes;

use crate::host::Host;
use crate::ram::PAGE_SIZE;
use crate::userfault::Userfault;

impl Host {
    /// What makes missing pages fault, once post-copy was announced.
    fn faulting(&self) -> io::Result<Arc<Userfault>> {
        let text = "post-copy was not announced, or is over";
        self.userfault.lock().clone().ok_or_else(|| io::Error::other(text))
    }
}

impl PostcopyHome for Host {
    fn advise(&self, sizes: PageSizes) -> Result<(), Cause> {
        let expected = PageSizes { blocks: PAGE_SIZE, target: PAGE_SIZE };
        if sizes != expected {
            return Err(Cause::Refused(format!(
                "post-copy with pages of {:#x} bytes, in blocks with pages of {:#x}: expected {PAGE_SIZE:#x} for both",
                sizes.target, sizes.blocks
            )));
        }
        let userfault = self.ram().userfault().map_err(|error| {
            Cause::Refused(format!(
                "post-copy needs userfaultfd, with faults of the kernel: {error}. Run as root, let this user open \
                 /dev/userfaultfd, or allow it for all (sysctl vm.unprivileged_userfaultfd=1)"
            ))
        })?;
        *self.userfault.lock() = Some(Arc::new(userfault));
        Ok(())
    }

    fn discard(&self, _: usize, start: u64, bytes: u64) -> io::Result<()> {
        self.ram().discard(start, bytes)
    }

    fn listen(&self) -> io::Result<()> {
        self.faulting()?.register()
    }

    fn faults(&self, within: Duration) -> io::Result<Vec<PageAddress>> {
        let faults = self.faulting()?.faults(within)?;
        Ok(faults.into_iter().map(|offset| PageAddress { block: 0, offset }).collect())
    }

    fn place(&self, pages: &[Page<'_>]) -> io::Result<()> {
        let userfault = self.faulting()?;
        for page in pages {
            // One that is there came twice, or was sent before it was asked for.
            let _is_new = match page.content {
                Content::Data(bytes) => {
                    let bytes = bytes.try_into().map_err(|_| io::Error::other("a page of another size"))?;
                    userfault.put(page.at.offset, bytes)?
                }
                Content::Zero => userfault.put_zeros(page.at.offset)?,
                Content::Changes(_) => {
                    return Err(io::Error::other("changes to a page that is missing (XBZRLE in post-copy)"));
                }
            };
        }
        Ok(())
    }

    fn run(&self) {
        self.start();
    }

    fn release(&self) {
        // The last to hold it closes it, and nothing faults any more.
        *self.userfault.lock() = None;
    }

    fn lose(&self) {
        // Who waits for a page holds the machine, and nobody could wait for that.
        self.stand_still();
    }
}
