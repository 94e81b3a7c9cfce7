#[vmstate(name = "nic", context = Shape, post_load = check)]
struct Nic {
    status: u8,
    #[vmstate(subsection)]
    rss: Option<Rss>,
    #[vmstate(subsection)]
    offloads: Option<Offloads>,
}
