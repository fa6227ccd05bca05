//! `bo init`: commented examples of `bo.toml` and `space.toml`, here. Nothing is overwritten.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit::Failure;
use crate::quantity::typed;

/// Flags of `bo init`.
#[derive(Args)]
pub struct InitArgs {
    /// Where to write them
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

const BO_TOML: &str = include_str!("init/bo.toml");
const SPACE_TOML: &str = include_str!("init/space.toml");

/// Writes the two files and says what to do with them.
///
/// # Errors
/// One of them is there already, or cannot be written.
pub fn main(args: &InitArgs) -> Result<(), Failure> {
    let files = [("bo.toml", BO_TOML), ("space.toml", SPACE_TOML)]
        .map(|(name, text)| (args.folder.join(name), text));
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(Failure::input(
            path,
            "is there already; nothing was changed",
            "move it away, or: bo init OTHER_DIR",
        ));
    }
    for (path, text) in &files {
        write_new(path, text)
            .map_err(|error| Failure::input(path, error, "name a folder that can be written"))?;
    }
    let _ = writeln!(
        std::io::stdout(),
        "wrote {config} and {space}\n\
         next, with a program of your own: bo run --config {config} --command 'python3 objective.py' --space {space}\n\
         or on the built-in scenes:        bo run --config {config}",
        config = typed(&files[0].0),
        space = typed(&files[1].0),
    );
    Ok(())
}

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Origin, RawSettings, Settings, read_config, read_space};

    #[test]
    fn both_files_are_read_as_they_stand_and_with_every_comment_taken_off() {
        let folder = tempfile::tempdir().unwrap();
        let (config, space) = (
            folder.path().join("bo.toml"),
            folder.path().join("space.toml"),
        );
        std::fs::write(&space, SPACE_TOML).unwrap();
        read_space(&space).unwrap();
        std::fs::write(&config, BO_TOML).unwrap();
        Settings::check(&read_config(&config).unwrap(), &|_| Origin::Default).unwrap();
        for line in BO_TOML
            .lines()
            .filter_map(|line| line.strip_prefix("#"))
            .filter(|line| line.contains(" = "))
        {
            std::fs::write(&config, line).unwrap();
            read_config(&config).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
    #[test]
    fn every_key_that_can_be_set_is_shown() {
        let shown: Vec<&str> = BO_TOML
            .lines()
            .filter_map(|line| line.trim_start_matches('#').split_once(" = "))
            .map(|(key, _)| key)
            .collect();
        for name in RawSettings::all_names() {
            assert!(
                shown.contains(&name.as_str()),
                "{name} is missing in bo.toml"
            );
        }
    }
}
