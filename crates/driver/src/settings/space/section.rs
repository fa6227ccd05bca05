//! A table of a space file, known by its name and place, so that every mistake in it can be.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::exit::Failure;
use crate::settings::nearest;

/// Keys of one table, with the file for messages.
pub(super) struct Section<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// As written: `x.rate`; empty at the top.
    pub(super) name: String,
    pub(super) table: &'a DeTable<'a>,
}

/// Reads a table.
pub(super) type ReadTable<'r> = &'r mut dyn FnMut(&Path) -> std::io::Result<String>;

impl<'a> Section<'a> {
    /// The CSV file that the section names, of which `holds` says what it holds, and its text.
    pub(super) fn table_file(
        &self,
        holds: &str,
        read: ReadTable<'_>,
    ) -> Result<(PathBuf, String), Failure> {
        self.allow(&["file"])?;
        let Some(file) = self.text_at("file")? else {
            return Err(self.refuse("file", format!("missing: name a CSV file with {holds}")));
        };
        let table = self.path.parent().unwrap_or(Path::new("")).join(file);
        let named = format!("named by {}: {}.file", self.path.display(), self.name);
        let text = read(&table).map_err(|error| Failure::input(&table, error, named))?;
        Ok((table, text))
    }

    pub(super) fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// An error about `key`, with its line where it is written.
    pub(super) fn refuse(&self, key: &str, reason: impl std::fmt::Display) -> Failure {
        let written = self.table.iter().find(|(name, _)| name.get_ref() == key);
        let place = match written {
            Some((name, _)) => format!(
                "line {}: {}",
                line_of(self.text, name.span().start),
                self.key(key)
            ),
            None => self.key(key),
        };
        Failure::input(
            self.path,
            format!("{place}: {reason}"),
            "mend it and run again; `bo init` writes an example",
        )
    }

    /// Refuses keys that are not in `known`.
    pub(super) fn allow(&self, known: &[&str]) -> Result<(), Failure> {
        for key in self.table.keys() {
            let key: &str = key.get_ref();
            if !known.contains(&key) {
                let hint = match nearest(key, known.iter().copied()) {
                    Some(name) => format!("did you mean {name}? "),
                    None => String::new(),
                };
                return Err(self.refuse(
                    key,
                    format!("unknown key; {hint}allowed are {}", known.join(", ")),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    pub(super) fn text_at(&self, key: &str) -> Result<Option<&'a str>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(key, "must be a text in quotes")),
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<f64, Failure> {
        let Some(value) = self.value(key) else {
            return Err(self.refuse(key, "missing; a number is needed"));
        };
        number(value).ok_or_else(|| self.refuse(key, "must be a number"))
    }

    pub(super) fn choices(&self) -> Result<Option<Vec<serde_json::Value>>, Failure> {
        let Some(value) = self.value("choices") else {
            return Ok(None);
        };
        let refuse = || {
            self.refuse(
                "choices",
                "must be a list of texts or numbers, like [\"adam\", \"sgd\"]",
            )
        };
        let list = value.as_array().ok_or_else(refuse)?;
        let value = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Some(serde_json::Value::from(text.as_ref())),
            DeValue::Boolean(flag) => Some(serde_json::Value::from(*flag)),
            DeValue::Integer(whole) => i64::from_str_radix(whole.as_str(), whole.radix())
                .ok()
                .map(Into::into),
            other => number(other).map(Into::into),
        };
        list.iter()
            .map(|item| value(item).ok_or_else(refuse))
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    pub(super) fn section(&self, key: &str) -> Result<Option<Section<'a>>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::Table(table)) => Ok(Some(Section {
                path: self.path,
                text: self.text,
                name: self.key(key),
                table,
            })),
            Some(_) => Err(self.refuse(key, format!("must be a table: [{}]", self.key(key)))),
        }
    }

    /// The tables inside table `key`, in the order of the file.
    pub(super) fn sections(&self, key: &str) -> Result<Vec<Section<'a>>, Failure> {
        let Some(outer) = self.section(key)? else {
            return Ok(Vec::new());
        };
        let mut names: Vec<(usize, &str)> = outer
            .table
            .keys()
            .map(|name| (name.span().start, name.get_ref().as_ref()))
            .collect();
        names.sort_unstable();
        names
            .into_iter()
            .filter_map(|(_, name)| outer.section(name).transpose())
            .collect()
    }
}

/// Line of a place in a text, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// A number, whole or not.
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(whole) => i64::from_str_radix(whole.as_str(), whole.radix())
            .ok()
            .map(|whole| whole as f64),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}
