//! Attributes of fields that are unknown, repeated or do not go together; all are reported at once.
use vmstate::types::Counted;
use vmstate::VmState;

#[derive(VmState)]
#[vmstate(name = "device", version = 5, minimum_version = 2)]
struct Device {
    #[vmstate(length = 4)]
    unknown: u8,
    #[vmstate(rename = "a", rename = "b")]
    twice: u8,
    #[vmstate(since = 3, when = twice > 0)]
    since_and_when: Option<u8>,
    #[vmstate(since = 2)]
    always: Option<u8>,
    #[vmstate(since = 6)]
    never: Option<u8>,
    #[vmstate(equal = Some(3), max = 4)]
    equal_and_max: Counted<u8, u8>,
    version: u8,
    cx: u8,
}

fn main() {}
