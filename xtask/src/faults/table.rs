//! Mode × moment × fault, as far as they go together.

use miette::{Result, miette};

/// One thing that happens at one moment of a relay in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(super) mode: Mode,
    pub(super) moment: Moment,
    pub(super) fault: Fault,
}

/// `vmig relay --mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Hold,
    Stream,
}

/// When it happens: as a side enters a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Setup,
    Active,
    Device,
    /// Mode hold: all is here and checked, and RAM begins to go to the destination.
    ActiveOut,
    DeviceOut,
    /// Mode hold: the destination has acknowledged.
    CompletedOut,
    /// The source knows that the destination has acknowledged.
    Completed,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    SourceKilled,
    DestinationKilled,
    RelayKilled,
    Cancelled,
    SourceSilent,
    DestinationSilent,
    Damaged,
    Refused,
    DiskFull,
}

use Fault::{
    Cancelled, Damaged, DestinationKilled, DestinationSilent, DiskFull, Refused, RelayKilled, SourceKilled,
    SourceSilent,
};
use Mode::{Hold, Stream};
use Moment::{Active, ActiveOut, Completed, CompletedOut, Device, DeviceOut, Setup};

const MOMENTS: [Moment; 7] = [Setup, Active, Device, ActiveOut, DeviceOut, CompletedOut, Completed];
const FAULTS: [Fault; 9] = [
    SourceKilled,
    DestinationKilled,
    RelayKilled,
    Cancelled,
    SourceSilent,
    DestinationSilent,
    Damaged,
    Refused,
    DiskFull,
];

/// Every row.
fn all() -> impl Iterator<Item = Row> {
    let rows = [Hold, Stream].into_iter().flat_map(|mode| {
        MOMENTS.into_iter().flat_map(move |moment| FAULTS.map(|fault| Row { mode, moment, fault }))
    });
    rows.filter(Row::is_possible)
}

/// The rows that a user asked for: all of them, or those named (a trailing `*` stands for any ending).
pub(super) fn chosen(names: &[String]) -> Result<Vec<Row>> {
    if names.is_empty() {
        return Ok(all().collect());
    }
    let is_named = |row: &Row, name: &String| match name.strip_suffix('*') {
        Some(start) => row.name().starts_with(start),
        None => row.name() == *name,
    };
    if let Some(name) = names.iter().find(|name| !all().any(|row| is_named(&row, name))) {
        return Err(miette!(help = "cargo xtask faults --list", "no row is named `{name}`"));
    }
    Ok(all().filter(|row| names.iter().any(|name| is_named(row, name))).collect())
}

impl Row {
    fn is_possible(&self) -> bool {
        // What passes through is not sent a second time, so it has one start; both sides end at once.
        let moment = self.mode == Hold || !matches!(self.moment, ActiveOut | CompletedOut);
        let fault = match (self.fault, self.moment) {
            (SourceKilled | DestinationKilled | RelayKilled | Cancelled, _) => true,
            // Nothing is awaited of them any more.
            (SourceSilent, moment) => moment != Completed,
            (DestinationSilent, moment) => !matches!(moment, Completed | CompletedOut),
            (Damaged, moment) => matches!(moment, Setup | Active | Device),
            // Another machine type is seen at once, a device that lacks something when its state comes.
            (Refused, moment) => matches!(moment, Setup | Device),
            // What is held is saved when it is whole.
            (DiskFull, moment) => moment == if self.mode == Hold { Device } else { Active },
        };
        moment && fault
    }

    /// All that tells it from others.
    pub(crate) fn name(&self) -> String {
        let side = if self.moment.is_out() { "-out" } else { "" };
        format!("{}-{}{side}-{}", self.mode.name(), self.moment.state(), self.fault.name())
    }
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Hold => "hold",
            Stream => "stream",
        }
    }
}

impl Moment {
    /// The state, as vmig names it.
    pub(super) fn state(self) -> &'static str {
        match self {
            Setup => "setup",
            Active | ActiveOut => "active",
            Device | DeviceOut => "device",
            Completed | CompletedOut => "completed",
        }
    }

    /// Whether the side that enters it is the destination's.
    pub(super) fn is_out(self) -> bool {
        matches!(self, ActiveOut | DeviceOut | CompletedOut)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Setup => "setup",
            Active => "active",
            Device => "device",
            ActiveOut => "active, to the destination",
            DeviceOut => "device, to the destination",
            CompletedOut => "completed, to the destination",
            Completed => "completed",
        }
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            SourceKilled => "source-killed",
            DestinationKilled => "destination-killed",
            RelayKilled => "relay-killed",
            Cancelled => "cancelled",
            SourceSilent => "source-silent",
            DestinationSilent => "destination-silent",
            Damaged => "damaged",
            Refused => "refused",
            DiskFull => "disk-full",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            SourceKilled => "source killed",
            DestinationKilled => "destination killed",
            RelayKilled => "relay killed",
            Cancelled => "relay interrupted (SIGINT)",
            SourceSilent => "source silent (SIGSTOP)",
            DestinationSilent => "destination silent (SIGSTOP)",
            Damaged => "bytes damaged on the way in",
            Refused => "destination refuses",
            DiskFull => "disk full for `--save`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_fault_is_there_in_both_modes() {
        let rows: Vec<_> = all().collect();
        for row in &rows {
            assert_eq!(rows.iter().filter(|other| other.name() == row.name()).count(), 1, "{}", row.name());
        }
        for (mode, fault) in [Hold, Stream].into_iter().flat_map(|mode| FAULTS.map(|fault| (mode, fault))) {
            assert!(rows.iter().any(|row| row.mode == mode && row.fault == fault), "{mode:?} {fault:?}");
        }
        assert_eq!(chosen(&["hold-setup-*".to_owned()]).unwrap().len(), 8);
        assert!(chosen(&["nonsense".to_owned()]).is_err());
    }
}
