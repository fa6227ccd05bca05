//! `bo.toml`: the flags of `bo run` as keys. An unknown key is an error that names the nearest known one.

use std::path::Path;

use super::{RawSettings, nearest};
use crate::bounded;
use crate::exit::Failure;

/// Reads a configuration file. Relative paths in it are taken from the file's own folder.
///
/// # Errors
/// Unreadable, not TOML, an unknown key, or a value of the wrong type: [`Failure::Input`] naming file
/// and key.
pub fn read_config(path: &Path) -> Result<RawSettings, Failure> {
    let text = bounded::read_text(path, bounded::SETTINGS).map_err(|error| {
        Failure::input(
            path,
            error,
            "give --config a readable file; `bo init` writes one",
        )
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Failure::input(path, error.message(), at(&text, &error))
    })?;
    let known = RawSettings::all_names();
    for key in table.keys() {
        if !known.iter().any(|name| name == key) {
            let remedy = match nearest(key, known.iter().map(String::as_str)) {
                Some(name) => format!("did you mean {name}?"),
                None => format!("known keys: {}", known.join(", ")),
            };
            return Err(Failure::input(path, format!("unknown key {key:?}"), remedy));
        }
    }
    let mut raw: RawSettings = toml::from_str(&text)
        .map_err(|error| Failure::input(path, error.message().trim(), at(&text, &error)))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for path in raw.paths_mut() {
        *path = folder.join(&*path);
    }
    Ok(raw)
}

/// Where in the file an error lies, in words.
fn at(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => {
            let start = span.start.min(text.len());
            let number = text[..start].matches('\n').count() + 1;
            let line = text.lines().nth(number - 1).unwrap_or_default().trim();
            format!("line {number}: {line}")
        }
        None => "see `bo init` for the form of every key".to_owned(),
    }
}
