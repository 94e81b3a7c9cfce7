//! Random sequences of work and moves: whatever is stopped where, nothing is lost, nothing is done twice, and order is
//! kept. Nothing runs at the same time here, so that a sequence that fails can be made small.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::io::repeat;

use machine::guest::Options;
use machine::guest::net::peer_answer;
use machine::guest::vsock::ECHO;
use machine::ram::PAGE;
use machine::{Kit, Machine, Proof, World};
use proptest::prelude::*;
use virtio::companion::Companion;
use virtio::device::balloon::BalloonHandle;
use virtio::device::console::port::MemoryConsole;
use virtio::device::disk::{Disk, MemoryDisk};
use virtio::device::input::InputHandle;
use virtio::device::net::port::{self, Port, SwitchPort};
use virtio::device::vsock::memory::{MemoryHost, MemoryStream};
use virtio::shape::Switch;
use virtio::transport::TransportKind;
use vmstate::Reader;

/// What stays where it is.
struct Around {
    disk: MemoryDisk,
    targets: [MemoryDisk; 2],
    switch: port::Switch,
    peer: SwitchPort,
    console: MemoryConsole,
    text: Vec<u8>,
    sockets: MemoryHost,
    keyboard: InputHandle,
    /// Keys that were typed.
    typed: u64,
    balloon: BalloonHandle,
}

impl Around {
    fn new(console_room: usize, socket_room: usize) -> Self {
        let switch = port::Switch::new();
        let peer = switch.plug();
        let console = MemoryConsole::new(console_room);
        let sockets = MemoryHost::new();
        sockets.listen(ECHO, move || MemoryStream::echo(socket_room));
        Self {
            disk: MemoryDisk::new(16 << 10),
            targets: [MemoryDisk::new(8 << 10), MemoryDisk::new(4 << 10)],
            switch,
            peer,
            console,
            text: Vec::new(),
            sockets,
            keyboard: InputHandle::default(),
            typed: 0,
            balloon: BalloonHandle::default(),
        }
    }

    /// The disks of the SCSI host.
    fn targets(&self) -> Vec<Box<dyn Disk>> {
        self.targets.iter().cloned().map(|disk| Box::new(disk) as Box<dyn Disk>).collect()
    }

    fn build(&self, kit: &Kit) -> Machine {
        let world = World {
            disk: Box::new(self.disk.clone()),
            targets: self.targets(),
            port: Box::new(self.switch.plug()),
            console: Box::new(self.console.clone()),
            entropy: Box::new(repeat(7)),
            sockets: Box::new(self.sockets.clone()),
            keyboard: self.keyboard.clone(),
            balloon: self.balloon.clone(),
        };
        kit.build(world).unwrap()
    }

    /// Lets the guest work, and the world answer.
    fn work(&mut self, machine: &mut Machine, moments: u32) {
        for moment in 0..moments {
            machine.run(1).unwrap();
            if moment % 10 == 9 {
                self.keyboard.key(30, true);
                self.keyboard.key(30, false);
                self.typed += 1;
                self.balloon.set_target(u32::try_from(self.typed * 37 % 200).unwrap());
            }
            while let Some(frame) = self.peer.receive().unwrap() {
                if let Some(answer) = peer_answer(&frame) {
                    self.peer.send(&answer).unwrap();
                }
            }
            self.text.extend(self.console.take());
        }
    }
}

/// Moves a guest: its RAM page by page, and its devices through the bytes of their sections.
fn moved(around: &Around, kit: &Kit, mut from: Machine) -> Machine {
    let sections = from.stop().unwrap();
    let mut to = around.build(kit);
    let mut page = [0; PAGE];
    for offset in (0..from.ram().bytes()).step_by(PAGE) {
        from.ram().read(offset, &mut page).unwrap();
        if page == [0; PAGE] {
            to.ram().clear(offset).unwrap();
        } else {
            to.ram().write(offset, &page).unwrap();
        }
    }
    drop(from);
    to.resume(&sections).unwrap();
    to
}

/// What the disks of a SCSI host carry is what QEMU's disks do: nothing speaks against it.
#[test]
fn disks_of_a_scsi_host_carry_their_requests() {
    for packed in [false, true] {
        let kit = Kit {
            ram: 8 << 20,
            transport: TransportKind::Pci,
            packed,
            blk_queues: 1,
            scsi_queues: 2,
            net_pairs: 1,
            blk_at_once: 1,
        };
        let mut around = Around::new(100, 100);
        let mut machine = around.build(&kit);
        machine.boot(Options { packed, ..Options::default() }).unwrap();
        around.work(&mut machine, 50);
        let sections = machine.stop().unwrap();
        let mut carried = Vec::new();
        for section in sections.iter().filter(|section| section.name.ends_with("/scsi-disk")) {
            let kind = Companion::of_section(&section.name).unwrap();
            let body = Reader::new(&section.body, 0);
            let (switches, loaded) = Companion::load_unknown(kind, section.version, &body).unwrap();
            assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
            let Companion::ScsiDisk(disk) = loaded.state else { panic!("{}", section.name) };
            assert_eq!(switches.has(Switch::Packed), packed);
            carried.push(disk.qdev.requests.len());
        }
        assert!(carried.len() == 2 && carried.iter().all(|&requests| requests > 0), "{carried:?}");
        machine.resume(&sections).unwrap();
        around.work(&mut machine, 400);
        let report = machine.report().unwrap();
        assert!(report.bad == 0 && report.scsi.iter().all(|queue| queue.written > 0), "{report:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_wherever_it_stops(
        pci: bool,
        packed: bool,
        event_idx: bool,
        indirect: bool,
        blk_at_once in 1_usize..6,
        console_room in 1_usize..200,
        socket_room in 1_usize..1000,
        work in prop::collection::vec(0_u32..300, 1..=6),
    ) {
        let kit = Kit {
            ram: 8 << 20,
            transport: if pci { TransportKind::Pci } else { TransportKind::Mmio },
            packed,
            blk_queues: 2,
            scsi_queues: 3,
            net_pairs: 2,
            blk_at_once,
        };
        let options = Options {
            packed, event_idx, indirect, dirty_bytes: 64 << 10, dirty_pages: 1, period: 7,
        };
        let mut around = Around::new(console_room, socket_room);
        let mut machine = around.build(&kit);
        machine.boot(options).unwrap();
        let hops = work.len() - 1;
        for (index, moments) in work.into_iter().enumerate() {
            if index > 0 {
                machine = moved(&around, &kit, machine);
            }
            around.work(&mut machine, moments);
        }
        // It still works: every part of it gets on. An answer that was on its way to a machine that is gone is lost, as
        // on any network, and is asked for again much later.
        let before = machine.report().unwrap();
        for _ in 0..40 {
            around.work(&mut machine, 20);
        }
        let report = machine.report().unwrap();
        prop_assert!(report.lines > before.lines && report.entropy > before.entropy);
        prop_assert!(report.blk.iter().zip(&before.blk).all(|(now, before)| now.written > before.written));
        prop_assert!(report.messages > before.messages && report.keys > before.keys);
        prop_assert!(report.inflated > before.inflated && report.deflated > before.deflated);
        prop_assert!(report.scsi.iter().zip(&before.scsi).all(|(now, before)| now.written > before.written));
        prop_assert!(report.announced <= hops as u64);
        prop_assert_eq!(report.transport_resets, hops as u64);
        prop_assert_eq!(Proof::balloon(&report, &around.balloon), None);
        prop_assert_eq!(around.keyboard.lights(), if report.light { 2 } else { 0 });
        // Keys that were typed last are still on their way.
        prop_assert!((around.typed - 1..=around.typed).contains(&report.keys), "{} {report:?}", around.typed);
        prop_assert_eq!(machine.broken(), vec![]);
        prop_assert_eq!(machine.inspect_pages().unwrap(), 0);
        let text = String::from_utf8(around.text.clone()).unwrap();
        let proof = Proof::of(&report, &mut around.disk.clone(), &mut around.targets(), &text).unwrap();
        prop_assert_eq!(proof.problems, Vec::<String>::new());
    }
}
