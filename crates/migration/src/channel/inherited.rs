//! `fd:N` and `-`: descriptors that this process was started with.
//!
//! A number says nothing of who owns the descriptor. One that is open and stays open over `exec` has come with
//! the process: whatever Rust's libraries open closes on `exec`, and so does what is taken here, from then on.
//! So a descriptor that somebody in this process owns is refused, and so is one that is taken a second time.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use parking_lot::Mutex;
use rustix::io::FdFlags;

use super::Error;

/// Takes a descriptor this process was started with.
///
/// The standard ones are shared with whoever else uses them in this process; any other is taken once.
///
/// # Errors
/// If it is not open, or does not come from who started this process, or has been taken.
pub(super) fn take(number: u32) -> Result<OwnedFd, Error> {
    let failed = |reason: String| Error::Descriptor { number, reason };
    let standard = match number {
        0 => Some(std::io::stdin().as_fd().try_clone_to_owned()),
        1 => Some(std::io::stdout().as_fd().try_clone_to_owned()),
        2 => Some(std::io::stderr().as_fd().try_clone_to_owned()),
        _ => None,
    };
    if let Some(clone) = standard {
        return clone.map_err(|error| failed(error.to_string()));
    }
    // From the check to the mark no other thread may take it.
    static TAKING: Mutex<()> = Mutex::new(());
    let _alone = TAKING.lock();
    if closes_on_exec(number).map_err(failed)? {
        return Err(failed("it is in use in this process, or has been taken already".to_owned()));
    }
    let taken = owned(number).ok_or_else(|| failed("the number is too large".to_owned()))?;
    rustix::io::fcntl_setfd(&taken, FdFlags::CLOEXEC).map_err(|error| failed(error.to_string()))?;
    Ok(taken)
}

/// Whether an open descriptor closes on `exec`; asked of the kernel by its number.
fn closes_on_exec(number: u32) -> Result<bool, String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))
        .map_err(|_| "it is not open; start this program with it, as `7<>file` does in a shell".to_owned())?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    let flags = flags.ok_or("the kernel does not say how it is open")?;
    Ok(flags & rustix::fs::OFlags::CLOEXEC.bits() != 0)
}

#[expect(unsafe_code, reason = "nothing safe makes an owned descriptor of a number that is a socket")]
fn owned(number: u32) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    let number = i32::try_from(number).ok()?;
    // SAFETY: it is open, and comes from who started this process, as [`take`] has seen. Nobody else in this
    // process owns it: whoever opens one here has it close on `exec`, and so has whoever took it before.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn an_inherited_socket_is_taken_once() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let number = u32::try_from(far.as_raw_fd()).unwrap();
        let error = take(number).unwrap_err().to_string();
        assert!(error.contains("in use in this process"), "owned by `far`: {error}");

        // As one that was inherited: nobody owns it, and it stays open over `exec`.
        let left = std::os::fd::IntoRawFd::into_raw_fd(rustix::io::dup(&far).unwrap());
        let number = u32::try_from(left).unwrap();
        let mut taken = UnixStream::from(take(number).unwrap());
        near.write_all(b"hello").unwrap();
        let mut bytes = [0; 5];
        taken.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");
        assert!(take(number).unwrap_err().to_string().contains("taken already"));
    }

    #[test]
    fn one_that_is_not_open_is_refused() {
        let error = take(987_654).unwrap_err().to_string();
        assert!(error.starts_with("cannot use descriptor 987654: it is not open"), "{error}");
    }
}
