//! Runs of the built binary in an empty directory, and what their files hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// An empty directory with what a run needs, removed at the end.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// What is optimised in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// A built-in test function.
    Problem,
    /// A program, one process an evaluation; it notes every start in `started.log`.
    Command,
}

const SPACE: &str = r#"
direction = "maximize"
[x.a]
low = -1.0
high = 1.0
[x.b]
low = 1
high = 9
type = "int"
[x.c]
choices = ["plain", "curved"]
[w.t]
low = 0.0
high = 1.0
"#;

/// A quadratic in awk; 20 ms long, so that a kill can fall inside. Without a question (its worker died before asking) it ends.
const PROGRAM: &str = r#"#!/bin/sh
read line || exit 1
id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
echo "$id" >> "$(dirname "$0")/started.log"
sleep 0.02
printf '%s\n' "$line" | awk -v id="$id" '
function number(name,  s) { match($0, "\"" name "\":[-+0-9.eE]+"); s = substr($0, RSTART, RLENGTH); sub(/.*:/, "", s); return s + 0 }
{ a = number("a"); b = number("b"); t = number("t"); c = index($0, "curved") > 0
  if (b == 4 && a > 0.6) { printf "{\"id\":%d,\"error\":\"not there\",\"kind\":\"invalid\"}\n", id }
  else { printf "{\"id\":%d,\"value\":%.17g}\n", id, -(a - 0.3) ^ 2 - 0.02 * (b - 5 - t) ^ 2 - 0.1 * c * t } }'
"#;

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("space.toml"), SPACE).unwrap();
        let program = folder.path().join("objective.sh");
        fs::write(&program, PROGRAM).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `bo` in this directory.
    pub fn bo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bo"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `bo run` of an objective into `out`.
    pub fn run(&self, objective: Objective, out: &str, more: &[&str]) -> Command {
        let mut command = self.bo(&["run", "--out", out, "--n-initial", "3", "--seed", "7"]);
        match objective {
            Objective::Problem => command.args(["--problem", "branin_williams"]),
            Objective::Command => {
                command.args(["--command", "./objective.sh", "--space", "space.toml"])
            }
        };
        command.args(more);
        command
    }

    /// How often the program was started for each id.
    pub fn starts(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.path("started.log")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

/// Runs to the end and insists on success.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs and insists on an exit code; returns stderr.
pub fn fail(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{command:?}:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// SIGKILL, and wait until it is gone.
pub fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lines of a journal; a line that is being written is left out.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// What the promise compares: evaluations by id, and the result without its times.
#[derive(Debug, PartialEq)]
pub struct Record {
    evaluations: Vec<String>,
    result: Value,
}

pub fn record(out: &Path) -> Record {
    let mut evaluations: Vec<(u64, String)> = lines(&out.join("evaluations.jsonl"))
        .iter()
        .map(|line| {
            let parts = ["id", "iteration", "x", "w", "value", "status"];
            let text: Vec<String> = parts.iter().map(|part| line[part].to_string()).collect();
            (line["id"].as_u64().unwrap(), text.join(" "))
        })
        .collect();
    evaluations.sort();
    let mut result: Value =
        serde_json::from_slice(&fs::read(out.join("result.json")).unwrap()).unwrap();
    for part in ["seconds", "crc"] {
        result.as_object_mut().unwrap().remove(part);
    }
    Record {
        evaluations: evaluations.into_iter().map(|(_, text)| text).collect(),
        result,
    }
}
