//! A case: files in an empty folder, a `bo` command line, and what came of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An empty folder in which the built binary is driven.
pub struct Case(TempDir);

/// What a command ended with.
pub struct Done {
    /// Exit code; -1 for a signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Case {
    /// A new empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a file in it.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The text of a file in the folder.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// `bo` with these words (split as a shell would).
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bo"));
        command
            .args(shell_words::split(words).unwrap())
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn bo(&self, words: &str) -> Done {
        Self::end(words, self.command(words))
    }

    /// Runs it to its end with a fault that tests may ask for.
    pub fn faulty(&self, fault: &str, words: &str) -> Done {
        let mut command = self.command(words);
        command.env("BO_FAULT", fault);
        Self::end(words, command)
    }

    fn end(words: &str, mut command: Command) -> Done {
        let output = command.output().unwrap();
        let done = Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(
            !done.stderr.contains("panicked"),
            "bo {words}\n{}",
            done.stderr
        );
        done
    }

    /// What the evaluations of a run returned, in the order of their lines.
    pub fn values(&self, run: &str) -> Vec<f64> {
        let text = self.read(&format!("{run}/evaluations.jsonl"));
        let value =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["value"].as_f64();
        text.lines().map(|line| value(line).unwrap()).collect()
    }

    /// Names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Done {
    /// Ended well.
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Ended with this code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.code, expected,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Said all of this on stderr.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "no {part:?} in\n{}",
                self.stderr
            );
        }
        self
    }

    /// Printed all of this on stdout.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stdout.contains(part),
                "no {part:?} in\n{}",
                self.stdout
            );
        }
        self
    }

    /// The number that it tells to type after a flag.
    #[track_caller]
    pub fn named(&self, flag: &str) -> u64 {
        let rest = self.stderr.split(&format!("type {flag} ")).nth(1);
        let digits = rest.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        let number = digits.and_then(|digits| digits.parse().ok());
        number.unwrap_or_else(|| panic!("no {flag} in\n{}", self.stderr))
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
