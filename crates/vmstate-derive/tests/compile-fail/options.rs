//! What may be missing is an `Option`.
use vmstate::VmState;

#[derive(VmState)]
#[vmstate(name = "device", version = 2, minimum_version = 1)]
struct Device {
    #[vmstate(since = 2)]
    since: u8,
    #[vmstate(when = since > 0, count = since)]
    when: Vec<u8>,
    #[vmstate(subsection)]
    subsection: Sub,
}

#[derive(VmState)]
#[vmstate(name = "device/sub")]
struct Sub;

fn main() {}
