//! What a process gives up before it reads the first byte that another wrote: if that byte ever gets the better of it,
//! little is left to be had.
//!
//! Channels and certificates are open by then. What is given up, this thread and all that it starts from now on never
//! get back; the one thread that is older draws the progress bar.

mod calls;
mod files;

use std::path::Path;

use clap::{Args, ValueEnum};
use migration::channel::Address;
use migration::event::{Event, Observer};

use super::Watch;
use crate::verb::Failure;

/// Whether to give up what is not needed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Sandbox {
    /// Before the first byte is read, give up all files but the output's directory, new connections (landlock), and
    /// system calls that this needs none of (seccomp)
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto)]
    sandbox: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// As far as the kernel can; what it cannot is said
    Auto,
    /// All of it, or not at all
    On,
    /// No
    Off,
}

/// What is needed from now on.
#[derive(Debug)]
pub(crate) struct Needs<'a> {
    /// The directory in which files are written.
    pub(crate) folder: Option<&'a Path>,
    /// The channels, all open. The command of an `exec:` channel was started, and is ended, by this process.
    pub(crate) channels: &'a [&'a Address],
}

impl Needs<'_> {
    fn ends_commands(&self) -> bool {
        self.channels.iter().any(|channel| matches!(channel, Address::Exec(_)))
    }
}

impl Sandbox {
    /// Gives up what is not needed.
    ///
    /// # Errors
    /// If all was to be given up, and something cannot be.
    pub(crate) fn enter(self, needs: &Needs<'_>, watch: &Watch) -> Result<(), Failure> {
        if self.sandbox == When::Off {
            return Ok(());
        }
        let missing: Vec<String> =
            [files::give_up(needs), calls::give_up()].into_iter().filter_map(Result::err).collect();
        if missing.is_empty() {
            watch.sandboxed();
            return Ok(());
        }
        let missing = missing.join("; ");
        if self.sandbox == When::On {
            let help = "`--sandbox auto` does without, `--sandbox off` without any";
            return Err(Failure::NotThere(format!("the sandbox is not whole: {missing}; {help}")));
        }
        watch.event(Event::Warning { what: format!("the sandbox is not whole: {missing}") });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::{ErrorKind, Result};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::process::Command;
    use std::thread;

    use super::*;

    /// What a thread can do once it has given up what it could. It is the thread's alone: tests beside it go on.
    fn inside<T: Send>(
        layer: fn(&Needs<'_>) -> std::result::Result<(), String>,
        test: impl FnOnce(&Path) -> T + Send,
    ) -> T {
        let folder = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let needs = Needs { folder: Some(folder.path()), channels: &[] };
                layer(&needs).unwrap_or_else(|missing| {
                    panic!("this kernel lacks what is to be tested here: {missing}");
                });
                test(folder.path())
            });
            thread.join().unwrap()
        })
    }

    fn refused<T>(result: Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    #[test]
    fn no_file_but_the_output_can_be_reached() {
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        inside(files::give_up, |folder| {
            let file = folder.join("guest.mig");
            fs::write(folder.join("temporary"), b"guest").unwrap();
            fs::rename(folder.join("temporary"), &file).unwrap();
            File::open(folder).unwrap().sync_all().unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"guest");
            assert!(refused(fs::read("/etc/passwd")));
            assert!(refused(File::options().write(true).open(elsewhere.path())));
            assert!(refused(fs::remove_file(elsewhere.path())));
            assert!(refused(File::create(folder.parent().unwrap().join("vmig-sandbox"))));
            assert!(refused(std::os::unix::fs::symlink("/etc/passwd", folder.join("link"))));
        });
    }

    #[test]
    fn no_connection_can_be_made() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for layer in [files::give_up, |_: &Needs<'_>| calls::give_up()] {
            inside(layer, |_| {
                assert!(refused(TcpStream::connect(address)));
                assert!(refused(TcpListener::bind("127.0.0.1:0")));
            });
        }
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn no_program_can_be_started() {
        inside(files::give_up, |_| assert!(refused(Command::new("/bin/true").status())));
        inside(
            |_| calls::give_up(),
            |_| {
                assert!(refused(Command::new("/bin/true").status()));
                assert!(refused(UnixStream::connect("/run/nobody")));
                // What is needed goes on: threads, files, pipes.
                assert_eq!(thread::spawn(|| 1).join().unwrap(), 1);
                assert!(fs::read("/etc/passwd").is_ok());
                std::io::pipe().unwrap();
            },
        );
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}
