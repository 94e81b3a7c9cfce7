//! A reader takes a subsection for one of a struct by its name.
use vmstate::VmState;

#[derive(VmState)]
#[vmstate(name = "device")]
struct Device {
    #[vmstate(subsection)]
    sub: Option<Sub>,
}

#[derive(VmState)]
#[vmstate(name = "devices/sub")]
struct Sub;

#[derive(VmState)]
#[vmstate(name = "card")]
struct Card {
    #[vmstate(subsection)]
    sub: Option<Sub>,
}

fn main() {}
