//! Files and connections, by landlock: see landlock(7).

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};

use super::Needs;

/// The rights of Linux 6.12, the newest that are known here.
const RIGHTS: ABI = ABI::V6;

/// Gives up all files but those of the output's directory, all TCP, and processes outside.
pub(super) fn give_up(needs: &Needs<'_>) -> Result<(), String> {
    match restrict(needs) {
        Ok(RulesetStatus::FullyEnforced) => Ok(()),
        Ok(RulesetStatus::PartiallyEnforced) => {
            Err("files: the kernel is older than 6.12 and knows only some rights of landlock".to_owned())
        }
        Ok(RulesetStatus::NotEnforced) => Err("files: the kernel has no landlock".to_owned()),
        Err(error) => Err(format!("files: {error}")),
    }
}

fn restrict(needs: &Needs<'_>) -> Result<RulesetStatus, RulesetError> {
    let mut scopes = Scope::from_all(RIGHTS);
    if needs.ends_commands() {
        // A command that was started outside is ended by a signal.
        scopes.remove(Scope::Signal);
    }
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .handle_access(AccessNet::from_all(RIGHTS))?
        .scope(scopes)?
        .create()?
        .add_rules(path_beneath_rules(needs.folder, output()))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// What it takes to write a file, and to put it in the place of another.
fn output() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}
