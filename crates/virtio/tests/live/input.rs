//! The keyboard.

use virtio::device::input::{InputHandle, LiveInput};

use crate::bench::Bench;

fn event(kind: u16, code: u16, value: u32) -> Vec<u8> {
    [kind.to_le_bytes().as_slice(), &code.to_le_bytes(), &value.to_le_bytes()].concat()
}

#[test]
fn a_group_of_events_comes_whole_or_waits() {
    let handle = InputHandle::default();
    let mut bench = Bench::new(LiveInput::keyboard(handle.clone()));
    handle.key(30, true);
    bench.offer(0, &[], &[8]);
    bench.settle();
    assert_eq!(bench.used(0), None, "there is room for one event, and the group has two");
    bench.migrate(LiveInput::keyboard(handle));
    bench.offer(0, &[], &[8]);
    bench.settle();
    assert_eq!(bench.used(0).unwrap().data, event(1, 30, 1));
    assert_eq!(bench.used(0).unwrap().data, event(0, 0, 0));
}

#[test]
fn lights_go_on_and_off() {
    let handle = InputHandle::default();
    let mut bench = Bench::new(LiveInput::keyboard(handle.clone()));
    bench.ask(1, &[&event(17, 1, 1)], &[]);
    bench.ask(1, &[&event(17, 0, 1)], &[]);
    assert_eq!(handle.lights(), 0b11);
    bench.ask(1, &[&event(17, 1, 0)], &[]);
    for nonsense in [event(17, 0xffff, 1), event(9, 9, 9), vec![1]] {
        bench.ask(1, &[&nonsense], &[]);
    }
    assert_eq!((handle.lights(), bench.core.broken()), (0b1, None));
}

#[test]
fn answers_only_what_it_knows() {
    let mut bench = Bench::new(LiveInput::keyboard(InputHandle::default()));
    for (select, subsel, size) in
        [(1, 0, 20), (1, 1, 0), (0x11, 1, 31), (0x11, 2, 0), (0x12, 0, 0), (99, 99, 0)]
    {
        bench.core.write_config(0, &[select, subsel]);
        let mut config = [0; 3];
        bench.core.read_config(0, &mut config);
        assert_eq!(config, [select, subsel, size]);
    }
}
