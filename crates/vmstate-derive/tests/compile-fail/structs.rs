//! Only structs with named fields and a name.
use vmstate::VmState;

#[derive(VmState)]
struct Nameless {
    status: u8,
}

#[derive(VmState)]
#[vmstate(name = "tuple")]
struct Tuple(u8, u8);

#[derive(VmState)]
#[vmstate(name = "choice")]
enum Choice {
    This,
    That,
}

#[derive(VmState)]
#[vmstate(name = "generic")]
struct Generic<T> {
    value: T,
}

fn main() {}
