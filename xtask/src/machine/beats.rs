//! What the guest says of itself: `VMIG-BEAT 1 ok`, `VMIG-BEAT 2 ok`, …
//!
//! The consoles of both ends are read as one text, since a line may begin on one and end on the other.

use miette::{Result, miette};

/// The beats seen so far, in order, checked to be without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beats {
    /// Number of the last complete beat; 0 before the first.
    pub(crate) last: u64,
    /// The devices that the guest works, as it listed them at its start.
    pub(crate) devices: String,
    /// The MAC addresses that its network device had, in turn, if it can see them.
    pub(crate) macs: Vec<String>,
}

impl Beats {
    /// Reads console output. An error if a beat is bad, missing, repeated, or if the guest panicked.
    pub(crate) fn read(console: &str) -> Result<Self> {
        let mut beats = Self::default();
        // The last line is not complete before its end is there.
        let complete = console.rfind('\n').map_or("", |end| console.get(..end).unwrap_or_default());
        for line in complete.lines() {
            if let Some((_before, devices)) = line.split_once("VMIG-DEVICES") {
                beats.devices = devices.trim().to_owned();
            } else if let Some((_before, mac)) = line.split_once("VMIG-MAC ") {
                beats.macs.push(mac.trim().to_owned());
            } else if let Some((_before, beat)) = line.split_once("VMIG-BEAT ") {
                beats.next(beat.trim())?;
            } else if line.contains("Kernel panic") {
                return Err(miette!("the guest's kernel panicked after beat {}: {line}", beats.last));
            }
        }
        Ok(beats)
    }

    fn next(&mut self, beat: &str) -> Result<()> {
        let (number, verdict) = beat.split_once(' ').unwrap_or((beat, ""));
        let expected = self.last + 1;
        if number.parse() != Ok(expected) {
            return Err(miette!(
                "beat {expected} was expected, found `{beat}`: the guest did not simply go on"
            ));
        }
        if verdict != "ok" {
            return Err(miette!("beat {expected} was expected to be ok, found `{verdict}`"));
        }
        self.last = expected;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_counted_across_both_consoles() {
        let console = "boot\nVMIG-DEVICES vda eth0\nVMIG-MAC 52:54:00:12:34:56\nVMIG-BEAT 1 ok\nVMIG-BE"
            .to_owned()
            + "AT 2 ok\nVMIG-BEAT 3 o";
        let beats = Beats::read(&console).unwrap();
        assert_eq!(
            beats,
            Beats { last: 2, devices: "vda eth0".to_owned(), macs: vec!["52:54:00:12:34:56".to_owned()] }
        );
    }

    #[test]
    fn a_gap_a_restart_and_a_bad_beat_are_errors() {
        for second in ["VMIG-BEAT 3 ok\n", "VMIG-BEAT 1 ok\n", "VMIG-BEAT 2 BAD ping\n", "VMIG-BEAT 2\n"] {
            assert!(Beats::read(&format!("VMIG-BEAT 1 ok\n{second}")).is_err(), "{second}");
        }
    }
}
