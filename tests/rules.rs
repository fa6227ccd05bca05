//! What the project may depend on (`deny.toml`), checked offline from the lock file, and where `unsafe` may stand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All packages of the lock file with their sources and licences; none where they are not at hand offline.
fn packages() -> Option<Vec<Value>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = cargo
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--all-features",
        ])
        .current_dir(root())
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).ok()?;
    metadata["packages"].as_array().cloned()
}

fn rules() -> toml::Table {
    fs::read_to_string(root().join("deny.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

/// Whether an SPDX expression can be met with the allowed licences. `AND` binds closer than `OR`; `/` is an old `OR`.
fn met(expression: &str, allowed: &[&str]) -> bool {
    let plain = expression.replace('/', " OR ");
    if let Some(start) = plain.find('(') {
        let end = plain[start..]
            .find(')')
            .map_or(plain.len() - 1, |end| start + end);
        let inside = if met(&plain[start + 1..end], allowed) {
            allowed[0]
        } else {
            "none"
        };
        return met(
            &format!("{}{inside}{}", &plain[..start], &plain[end + 1..]),
            allowed,
        );
    }
    plain.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|licence| allowed.contains(&licence.trim()))
    })
}

#[test]
fn expressions_of_licences_are_read_as_spdx_says() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
    assert!(met("GPL-3.0 OR MIT", &allowed) && met("MIT/Apache-2.0", &allowed));
    assert!(met("(MIT OR GPL-3.0) AND Unicode-3.0", &allowed));
    assert!(
        !met("MIT AND GPL-3.0", &allowed)
            && !met("(GPL-3.0 OR LGPL-3.0) AND MIT", &allowed)
            && !met("", &allowed)
    );
}

#[test]
#[expect(clippy::print_stderr, reason = "says what was skipped")]
fn every_dependency_has_an_allowed_licence_and_source() {
    let Some(packages) = packages() else {
        eprintln!("SKIPPED: cargo metadata does not answer offline");
        return;
    };
    assert!(packages.len() > 100, "{} packages", packages.len());
    let rules = rules();
    let allowed: Vec<&str> = rules["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one.as_str())
        .collect();
    let banned: Vec<&str> = rules["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["crate"].as_str())
        .collect();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(met(licence, &allowed), "{name}: licence {licence:?}");
        assert!(!banned.contains(&name), "{name} is banned");
        // ours have no source
        let source = package["source"].as_str().unwrap_or("registry+");
        assert!(
            source.starts_with("registry+"),
            "{name} comes from {source}"
        );
    }
}

#[test]
fn unsafe_stands_only_in_files_that_say_why() {
    let mut found = 0;
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = |line: &str| !line.trim_start().starts_with("//");
                let uses = ["unsafe {", "unsafe impl", "unsafe fn"];
                if text
                    .lines()
                    .any(|line| code(line) && uses.iter().any(|word| line.contains(word)))
                {
                    found += 1;
                    let says = |line: &str| {
                        line.trim_start().starts_with("//") && line.contains("`unsafe`")
                    };
                    assert!(
                        text.lines().any(says),
                        "{}: say in its header what `unsafe` is for",
                        path.display()
                    );
                }
            }
        }
    }
    assert!(found > 0);
}
