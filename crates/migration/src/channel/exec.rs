//! `exec:COMMAND`: a command whose standard input and output are the channel.
//!
//! Both are one socket, so that a command such as `ssh host nc ...` carries the return path too. Its standard
//! error is ours.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::wait::Deadline;
use super::{Doing, Error, Settings};

/// A command that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    channel: String,
}

/// Starts the command; gives the channel to it.
pub(super) fn start(command: &str, channel: &str) -> Result<(OwnedFd, Running), Error> {
    let open = |error| Error::Open { channel: channel.to_owned(), error };
    let (ours, theirs) = UnixStream::pair().map_err(open)?;
    let input = OwnedFd::from(theirs.try_clone().map_err(open)?);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::from(input)).stdout(Stdio::from(OwnedFd::from(theirs)));
    let child = shell.spawn().map_err(open)?;
    Ok((ours.into(), Running { child, channel: channel.to_owned() }))
}

impl Running {
    /// Waits for the command to end, which it does once it sees its input end.
    ///
    /// # Errors
    /// If it fails, or does not end in time.
    pub(super) fn finish(mut self, settings: &Settings) -> Result<(), Error> {
        let channel = self.channel.clone();
        let deadline = Deadline::new(&channel, Doing::Closing, Some(settings.close), &settings.cancel);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(Error::Command { channel, status }),
                Ok(None) => {}
                Err(error) => return Err(deadline.failed(error)),
            }
            match deadline.pause() {
                Ok(()) => {}
                Err(Error::TimedOut { after, .. }) => return Err(Error::CommandKilled { channel, after }),
                Err(other) => return Err(other),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing if it has been waited for; killed, it ends at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
