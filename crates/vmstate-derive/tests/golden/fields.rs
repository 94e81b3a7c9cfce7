#[vmstate(name = "nic", version = 3, minimum_version = 2, context = Shape)]
struct Nic {
    #[vmstate(equal = cx.queues)]
    queues: u16,
    #[vmstate(max = MAX_MACS)]
    macs: Counted<u32, [u8; 6]>,
    #[vmstate(count = queues)]
    rings: Vec<Ring>,
    #[vmstate(since = 3)]
    offloads: Option<u64>,
    #[vmstate(when = offloads.is_some(), count = 4096_u32, max = 4096)]
    vlans: Option<Bitmap>,
}
