//! The runtime that requests run on.

use std::io;
use std::sync::{LazyLock, mpsc};

use tokio::runtime::{Builder, Runtime};

/// Threads that requests share. They wait for the network nearly all the time.
const THREADS: usize = 2;

static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(THREADS).thread_name("objects").enable_all().build()
});

/// Runs a future to its end. This blocks the thread, and may be called from any, also from one that runs
/// async tasks.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let runtime = RUNTIME.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move { sender.send(work.await).ok() });
    receiver.recv().map_err(|_| io::Error::other("a request ended without an answer"))
}
