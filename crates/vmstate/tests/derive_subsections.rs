//! `#[derive(VmState)]`: which struct a subsection belongs to, and what may follow its fields.

use vmstate::{Error, ErrorKind, Reader, VmState, Writer};

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "card/queue/extra", version = 2, minimum_version = 1)]
struct QueueExtra {
    vector: u16,
}

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "card/queue")]
struct Queue {
    num: u8,
    #[vmstate(subsection)]
    extra: Option<QueueExtra>,
}

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "card/rss")]
struct Rss {
    table: u8,
    #[vmstate(subsection)]
    key: Option<Key>,
}

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "card/rss/key")]
struct Key {
    length: u8,
}

/// No fields at all: being there is what it says.
#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "card/broken")]
struct Broken {}

#[derive(Debug, Clone, PartialEq, VmState)]
#[vmstate(name = "card", version = 3, post_load = Card::check)]
struct Card {
    status: u8,
    queue: Queue,
    #[vmstate(subsection)]
    rss: Option<Rss>,
    #[vmstate(subsection)]
    broken: Option<Broken>,
}

impl Card {
    fn check(&mut self, (): &()) -> Result<(), ErrorKind> {
        match (&self.rss, &self.broken) {
            (Some(rss), Some(_)) if rss.table == 0 => Err(ErrorKind::Invalid("no table".into())),
            _ => Ok(()),
        }
    }
}

fn card() -> Card {
    Card { status: 1, queue: Queue { num: 2, extra: None }, rss: None, broken: None }
}

/// A subsection as the stream has it.
fn subsection(name: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(5);
    out.name(name);
    out.u32(version);
    out.bytes(body);
    out.into_bytes()
}

/// A card of status 1 and a queue of 2 entries, followed by something.
fn bytes(after: &[&[u8]]) -> Vec<u8> {
    [&[1, 2], after.concat().as_slice()].concat()
}

/// The card, and the bytes after it.
fn load(bytes: &[u8]) -> Result<(Card, &[u8]), Error> {
    let mut input = Reader::new(bytes, 0);
    let card = Card::load_body(&mut input, 3, &())?;
    Ok((card, input.peek()))
}

fn save(card: &Card) -> Vec<u8> {
    let mut out = Writer::new();
    VmState::<()>::save_body(card, &mut out);
    out.into_bytes()
}

#[test]
fn none_is_not_needed() {
    assert_eq!(save(&card()), [1, 2]);
    assert_eq!(load(&[1, 2]).unwrap(), (card(), [].as_slice()));
}

#[test]
fn saved_in_the_order_of_the_struct_and_loaded_in_any() {
    let rss = subsection("card/rss", 1, &[9]);
    let broken = subsection("card/broken", 1, &[]);
    let both = Card { rss: Some(Rss { table: 9, key: None }), broken: Some(Broken {}), ..card() };
    assert_eq!(save(&both), bytes(&[&rss, &broken]));
    assert_eq!(load(&bytes(&[&rss, &broken])).unwrap().0, both);
    assert_eq!(load(&bytes(&[&broken, &rss])).unwrap().0, both);
}

#[test]
fn a_subsection_has_subsections_of_its_own() {
    let key = subsection("card/rss/key", 1, &[40]);
    let rss = subsection("card/rss", 1, &[&[9], key.as_slice()].concat());
    let nested = Card { rss: Some(Rss { table: 9, key: Some(Key { length: 40 }) }), ..card() };
    assert_eq!(save(&nested), bytes(&[&rss]));
    assert_eq!(load(&bytes(&[&rss])).unwrap().0, nested);
}

#[test]
fn the_innermost_struct_takes_what_begins_with_its_name() {
    let extra = subsection("card/queue/extra", 2, &[0, 7]);
    let with_extra = Card { queue: Queue { num: 2, extra: Some(QueueExtra { vector: 7 }) }, ..card() };
    assert_eq!(load(&bytes(&[&extra])).unwrap().0, with_extra);
    // No slash is needed for a name to begin with another.
    let error = load(&bytes(&[&subsection("card/queues", 1, &[])])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "card › queue › card/queue at 0x2: subsection `card/queues` is not known here; known: card/queue/extra"
    );
    // The name alone is not longer than the name: the queue leaves it, and the card does not know it.
    let error = load(&bytes(&[&subsection("card/queue", 1, &[])])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "card at 0x2: subsection `card/queue` is not known here; known: card/rss, card/broken"
    );
}

#[test]
fn a_struct_leaves_what_belongs_to_one_around_it() {
    // The queue comes right before: it sees the 5, and a name that is not its own.
    let broken = subsection("card/broken", 1, &[]);
    let loaded = load(&bytes(&[&broken])).unwrap().0;
    assert_eq!(loaded, Card { broken: Some(Broken {}), ..card() });
    // From inside a subsection it goes back to the struct around.
    let rss = subsection("card/rss", 1, &[9]);
    let key_after_broken = bytes(&[&rss, &broken, &subsection("card/rss/key", 1, &[40])]);
    let error = load(&key_after_broken).unwrap_err();
    assert_eq!(
        error.to_string(),
        "card at 0x22: subsection `card/rss/key` is not known here; known: card/rss, card/broken"
    );
}

#[test]
fn what_nobody_takes_is_left() {
    let other = subsection("cart/broken", 1, &[]);
    for after in [
        other.as_slice(),
        b"\x05",
        b"\x05\x04card",
        b"\x05\x0bcard/broke",
        b"\x05\x05card\xff",
        b"\x06\x0bcard/broken",
        b"\x7e\0\0\0\x01",
    ] {
        assert_eq!(load(&bytes(&[after])).unwrap(), (card(), after));
    }
}

#[test]
fn a_second_one_is_refused_where_it_begins() {
    let broken = subsection("card/broken", 1, &[]);
    let error = load(&bytes(&[&broken, &broken])).unwrap_err();
    assert_eq!(error.to_string(), "card at 0x13: subsection `card/broken` comes a second time");
}

#[test]
fn its_version_is_checked() {
    let extra = |version| bytes(&[&subsection("card/queue/extra", version, &[0, 7])]);
    assert!(load(&extra(1)).is_ok());
    let error = load(&extra(3)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "card › queue › card/queue › card/queue/extra at 0x18: version 3, expected 1 to 2"
    );
}

#[test]
fn errors_inside_name_it() {
    let cut = |left| {
        let mut bytes = bytes(&[&subsection("card/rss", 1, &[9])]);
        bytes.truncate(bytes.len() - left);
        load(&bytes).unwrap_err().to_string()
    };
    assert_eq!(cut(1), "card › card/rss › table at 0x10: needs 1 bytes, 0 are left");
    assert_eq!(cut(2), "card › card/rss › version at 0xc: needs 4 bytes, 3 are left");
}

#[test]
fn post_load_runs_after_subsections() {
    let (rss, broken) = (subsection("card/rss", 1, &[0]), subsection("card/broken", 1, &[]));
    let error = load(&bytes(&[&rss, &broken])).unwrap_err();
    assert_eq!(error.to_string(), "card at 0x22: no table");
}

#[test]
fn a_struct_without_subsections_knows_none() {
    let bytes = [&[9, 9], subsection("card/queue/extra/more", 1, &[]).as_slice()].concat();
    let error = QueueExtra::load_body(&mut Reader::new(&bytes, 0), 2, &()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "card/queue/extra at 0x2: subsection `card/queue/extra/more` is not known here; known: none"
    );
}
