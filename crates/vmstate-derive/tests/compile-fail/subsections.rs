//! Subsections come last, take nothing else, and are called what their type is.
use vmstate::VmState;

#[derive(VmState)]
#[vmstate(name = "device")]
struct Device {
    #[vmstate(subsection = "device/sub")]
    named: Option<Sub>,
    #[vmstate(subsection, since = 3)]
    since: Option<Sub>,
    #[vmstate(subsection)]
    sub: Option<Sub>,
    late: u8,
}

#[derive(VmState)]
#[vmstate(name = "device/sub")]
struct Sub;

fn main() {}
