//! Random sequences of what driver and device do, with hops to new devices through the bytes of a section.
//!
//! The device acts only when it is notified, and the driver only when it is interrupted: a notification
//! that is missing leaves a request unanswered, and fails the test.

use std::collections::HashMap;
use std::io::{Read, Write};

use proptest::prelude::*;
use virtio::ring::{Chain, RunningQueue};
use vm_memory::{Bytes, GuestAddress};

use super::driver::{BUFFERS, Config, Driver, Memory, Piece, SLOT, memory};
use super::saved::{shape, through_bytes};

/// Bytes of each request in each direction; their number of pieces differs.
const BYTES: u32 = 24;

#[derive(Debug, Clone)]
enum Op {
    /// The driver offers a request of so many pieces in each direction.
    Add { readable: u16, writable: u16 },
    /// The device takes up to so many, if it is awake.
    Take(u8),
    /// The device finishes one of those it has.
    Finish(usize),
    /// The device gives the last it took back.
    GiveBack,
    /// The device turns notifications off, works, and turns them on.
    Poll,
    /// The driver handles an interrupt, if there was one.
    Interrupt,
    /// The device stops, and another starts.
    Hop,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (1_u16..4, 1_u16..4).prop_map(|(readable, writable)| Op::Add { readable, writable }),
        4 => (1_u8..5).prop_map(Op::Take),
        5 => (0_usize..8).prop_map(Op::Finish),
        1 => Just(Op::GiveBack),
        1 => Just(Op::Poll),
        3 => Just(Op::Interrupt),
        1 => Just(Op::Hop),
    ];
    prop::collection::vec(op, 1..160)
}

fn configs() -> impl Strategy<Value = Config> {
    (0_u32..5, any::<[bool; 4]>(), 3_u16..20).prop_map(
        |(log, [packed, event_idx, indirect, in_order], odd)| Config {
            // A packed ring's size need not be a power of two.
            size: if packed { odd } else { 8 << log.min(2) },
            packed,
            event_idx,
            indirect,
            in_order,
            big_endian: !packed && log > 2,
        },
    )
}

struct World {
    memory: Memory,
    driver: Driver,
    queue: Option<RunningQueue>,
    awake: bool,
    interrupted: bool,
    /// The chains that the device has, with the request's number.
    chains: Vec<(u64, Chain)>,
    /// The number of each request in flight.
    numbers: HashMap<u16, (u64, u16)>,
    /// The number of the next request to be offered.
    next: u64,
    /// The number of the next request to be taken: they are taken in the order they were offered.
    next_taken: u64,
    last_taken: Option<u64>,
    answered: u64,
}

fn cut(at: u64, pieces: u16, write: bool) -> Vec<Piece> {
    let len = BYTES / u32::from(pieces);
    (0..pieces).map(|index| (at + 100 * u64::from(index), len, write)).collect()
}

fn request(number: u64) -> Vec<u8> {
    [number, !number, number ^ 0xaaaa].iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl World {
    fn new(config: Config) -> Self {
        let memory = memory();
        let driver = Driver::new(&memory, config);
        driver.want_interrupt(&memory);
        let queue =
            RunningQueue::start(&driver.state(), &memory, config.features(), config.endianness()).unwrap();
        Self {
            memory,
            driver,
            queue: Some(queue),
            awake: false,
            interrupted: false,
            chains: Vec::new(),
            numbers: HashMap::new(),
            next: 0,
            next_taken: 0,
            last_taken: None,
            answered: 0,
        }
    }

    fn queue(&mut self) -> &mut RunningQueue {
        self.queue.as_mut().unwrap()
    }

    fn add(&mut self, readable: u16, writable: u16) {
        let number = self.next;
        let pieces = |id: u16| {
            let slot = BUFFERS + u64::from(id) * SLOT;
            [cut(slot, readable, false), cut(slot + SLOT / 2, writable, true)].concat()
        };
        let Some(id) = self.driver.add(&self.memory, pieces, readable + writable) else { return };
        // The device has not run since: what it reads is there in time.
        let mut bytes = &request(number)[..];
        for (address, len, _) in cut(BUFFERS + u64::from(id) * SLOT, readable, false) {
            let (piece, rest) = bytes.split_at(len as usize);
            self.memory.write_slice(piece, GuestAddress(address)).unwrap();
            bytes = rest;
        }
        self.next += 1;
        assert!(self.numbers.insert(id, (number, writable)).is_none());
        self.awake |= self.driver.must_notify(&self.memory);
    }

    fn number(&self, chain: &Chain) -> u64 {
        let mut bytes = Vec::new();
        chain.reader(&self.memory).read_to_end(&mut bytes).unwrap();
        let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(bytes, request(number));
        number
    }

    fn take(&mut self, most: u8) {
        for _ in 0..most {
            if !self.awake {
                return;
            }
            let memory = self.memory.clone();
            match self.queue().attach(&memory).unwrap().pop().unwrap() {
                Some(chain) => {
                    let number = self.number(&chain);
                    assert_eq!(number, self.next_taken, "taken in order, each once");
                    self.next_taken += 1;
                    self.last_taken = Some(number);
                    self.chains.push((number, chain));
                }
                None => self.awake = false,
            }
        }
    }

    fn finish(&mut self, which: usize) {
        if self.chains.is_empty() {
            return;
        }
        let (number, chain) = self.chains.remove(which % self.chains.len());
        let memory = self.memory.clone();
        let mut writer = chain.writer(&memory);
        writer.write_all(&request(!number)).unwrap();
        assert_eq!((writer.written(), writer.remaining()), (BYTES, 0));
        let mut queue = self.queue.as_mut().unwrap().attach(&memory).unwrap();
        queue.push(chain, BYTES).unwrap();
        self.interrupted |= queue.needs_notification().unwrap();
    }

    /// Only the chain that was taken last can go back.
    fn give_back(&mut self) {
        let last = self.last_taken.take();
        let Some(at) = self.chains.iter().position(|(number, _)| Some(*number) == last) else { return };
        let (_, chain) = self.chains.remove(at);
        let memory = self.memory.clone();
        self.queue().attach(&memory).unwrap().unpop(chain).unwrap();
        self.next_taken -= 1;
        self.awake = true;
    }

    /// Takes all there is with notifications off, and turns them on again without missing any.
    fn poll(&mut self) {
        let memory = self.memory.clone();
        self.queue().attach(&memory).unwrap().disable_notification().unwrap();
        self.awake = true;
        self.take(255);
        self.add(1, 1);
        self.awake = self.queue().attach(&memory).unwrap().enable_notification().unwrap();
        self.take(255);
    }

    fn interrupt(&mut self) {
        if !std::mem::take(&mut self.interrupted) {
            return;
        }
        loop {
            while let Some((id, len)) = self.driver.take(&self.memory) {
                let (number, writable) = self.numbers.remove(&id).expect("a request in flight");
                assert_eq!(len, BYTES);
                let mut bytes = Vec::new();
                for (address, len, _) in cut(BUFFERS + u64::from(id) * SLOT + SLOT / 2, writable, true) {
                    let mut piece = vec![0; len as usize];
                    self.memory.read_slice(&mut piece, GuestAddress(address)).unwrap();
                    bytes.extend(piece);
                }
                assert_eq!(bytes, request(!number), "the answer to this request");
                if self.driver.config.in_order {
                    assert_eq!(number, self.answered, "IN_ORDER");
                }
                self.answered += 1;
            }
            self.driver.want_interrupt(&self.memory);
            // What came before the wish is not told of.
            if !self.driver.has_used(&self.memory) {
                return;
            }
        }
    }

    /// Stops the device with what it has in flight, and starts another from the bytes of its section.
    fn hop(&mut self) {
        let chains = self.chains.drain(..).map(|(_, chain)| chain).collect();
        let stopped = self.queue.take().unwrap().stop(&self.memory, chains, shape().switches).unwrap();
        self.interrupted |= stopped.needs_notification;
        let before = stopped.state.clone();
        let (loaded, state, elements) = through_bytes(self.driver.config, &self.memory, stopped);
        assert_eq!(
            (&state.queue.desc, &state.addresses, &state.packed),
            (&before.queue.desc, &before.addresses, &before.packed)
        );
        let mut queue =
            RunningQueue::start(&state, &self.memory, loaded.features, loaded.endianness).unwrap();
        for element in &elements {
            let chain = queue.resume(&self.memory, element).unwrap();
            self.chains.push((self.number(&chain), chain));
        }
        assert_eq!(queue.unclaimed(), 0);
        self.queue = Some(queue);
        self.last_taken = None;
        self.awake = true;
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Add { readable, writable } => self.add(readable, writable),
            Op::Take(most) => self.take(most),
            Op::Finish(which) => self.finish(which),
            Op::GiveBack => self.give_back(),
            Op::Poll => self.poll(),
            Op::Interrupt => self.interrupt(),
            Op::Hop => self.hop(),
        }
    }

    /// Everything is answered if each side acts when it is told to.
    fn settle(&mut self) {
        while self.awake || !self.chains.is_empty() || self.interrupted {
            self.take(255);
            while !self.chains.is_empty() {
                self.finish(0);
            }
            self.interrupt();
        }
        assert_eq!(self.answered, self.next, "answered of what was offered");
        assert_eq!(self.queue().inuse(), 0);
    }
}

fn check(config: Config, ops: &[Op]) {
    let mut world = World::new(config);
    ops.iter().for_each(|op| world.run(op));
    world.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_done_twice(config in configs(), ops in ops()) {
        check(config, &ops);
    }
}

#[test]
fn indexes_count_past_two_to_the_sixteenth() {
    for packed in [false, true] {
        let config =
            Config { size: 8, packed, event_idx: true, indirect: false, in_order: false, big_endian: false };
        let mut world = World::new(config);
        for round in 0..70_000 {
            world.add(1, 1);
            world.take(2);
            world.finish(0);
            world.interrupt();
            if round % 9973 == 0 {
                world.hop();
            }
        }
        world.settle();
        assert_eq!(world.answered, 70_000);
    }
}
