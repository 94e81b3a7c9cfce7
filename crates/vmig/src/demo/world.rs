//! What stays where it is when a guest moves: disk images, a peer on the network that answers, an echo for sockets, and
//! the console's end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use machine::guest::net::peer_answer;
use machine::guest::vsock::ECHO;
use parking_lot::Mutex;
use virtio::device::disk::{Disk, FileDisk};
use virtio::device::net::port::LONGEST_FRAME;

/// Names in the world's directory.
pub(super) const DISK: &str = "disk.img";
/// The disks of the SCSI host.
pub(super) const TARGETS: [&str; 2] = ["target-0.img", "target-1.img"];
pub(super) const NETWORK: &str = "network";
pub(super) const CONSOLE: &str = "console";
pub(super) const SOCKETS: &str = "vsock";

/// The world around the hosts.
#[derive(Debug)]
pub(super) struct World {
    dir: PathBuf,
    /// What came from the console of each host, in the order in which they came.
    consoles: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl World {
    /// A world in a directory, with disks of so many bytes.
    pub(super) fn new(dir: &Path, disk: u64) -> io::Result<Self> {
        for image in [DISK].iter().chain(&TARGETS) {
            File::create(dir.join(image))?.set_len(disk)?;
        }
        let network = UnixDatagram::bind(dir.join(NETWORK))?;
        thread::spawn(move || answer(&network));
        let sockets = UnixListener::bind(dir.join(format!("{SOCKETS}_{ECHO}")))?;
        thread::spawn(move || {
            for socket in sockets.incoming().map_while(Result::ok) {
                thread::spawn(move || echo(socket));
            }
        });
        let listener = UnixListener::bind(dir.join(CONSOLE))?;
        let consoles = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&consoles);
        thread::spawn(move || {
            for (number, console) in listener.incoming().map_while(Result::ok).enumerate() {
                all.lock().push(Vec::new());
                let all = Arc::clone(&all);
                thread::spawn(move || read(console, &all, number));
            }
        });
        Ok(Self { dir: dir.to_owned(), consoles })
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is on the console: what came from one host after what came from the one before it.
    pub(super) fn console(&self) -> String {
        String::from_utf8_lossy(&self.consoles.lock().concat()).into_owned()
    }
}

/// The disks of the SCSI host, which are in the world's directory.
pub(super) fn targets(dir: &Path, read_only: bool) -> io::Result<Vec<Box<dyn Disk>>> {
    let open = |image| {
        let file = File::options().read(true).write(!read_only).open(dir.join(image))?;
        Ok(Box::new(FileDisk::new(file, read_only)?) as Box<dyn Disk>)
    };
    TARGETS.into_iter().map(open).collect()
}

/// Sends every frame back to the host that it came from.
fn answer(network: &UnixDatagram) {
    let mut frame = vec![0; LONGEST_FRAME];
    while let Ok((length, from)) = network.recv_from(&mut frame) {
        let answer = peer_answer(frame.get(..length).unwrap_or_default());
        if let (Some(answer), Some(path)) = (answer, from.as_pathname()) {
            // A host that has gone misses it: the guest asks again from where it is.
            drop(network.send_to(&answer, path));
        }
    }
}

/// Sends back what comes, until the guest has moved on.
fn echo(mut socket: UnixStream) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = socket.read(&mut bytes) {
        if socket.write_all(bytes.get(..length).unwrap_or_default()).is_err() {
            break;
        }
    }
}

fn read(mut console: impl Read, all: &Mutex<Vec<Vec<u8>>>, number: usize) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = console.read(&mut bytes) {
        if let Some(text) = all.lock().get_mut(number) {
            text.extend_from_slice(bytes.get(..length).unwrap_or_default());
        }
    }
}
