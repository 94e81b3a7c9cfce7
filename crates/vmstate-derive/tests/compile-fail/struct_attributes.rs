//! Attributes of the struct that are unknown, repeated or wrong.
use vmstate::VmState;

#[derive(VmState)]
#[vmstate(name = "unknown", versions = 3)]
struct Unknown;

#[derive(VmState)]
#[vmstate(name = "twice", version = 3)]
#[vmstate(version = 4)]
struct Twice;

#[derive(VmState)]
#[vmstate(name = "above", version = 3, minimum_version = 4)]
struct Above;

#[derive(VmState)]
#[vmstate(name = "text", version = "3")]
struct Text;

#[derive(VmState)]
#[vmstate(name = "")]
struct Empty;

fn main() {}
