//! System calls on the files of a run, seen and disturbed by `strace`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls that change what is on disk.
pub const CHANGING: &str = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,ftruncate,unlink,unlinkat,mkdir,mkdirat";

/// Whether processes can be traced here; says so where not.
pub fn available() -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    let fine = tried.is_ok_and(|output| output.status.success());
    if !fine {
        eprintln!("skipped: no strace, or tracing is not allowed (apt-get install strace)");
    }
    fine
}

/// `command` under `strace` with these words before it.
pub fn traced(command: &Command, words: &[&OsStr]) -> Command {
    let mut all = Command::new("strace");
    all.arg("-f").args(words).arg(command.get_program());
    all.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        all.current_dir(folder);
    }
    all.stdin(std::process::Stdio::null());
    all
}

/// A call that came back.
#[derive(Clone, Debug)]
pub struct Call {
    /// `write`, `fsync`, ...
    pub name: String,
    /// Paths among its arguments, absolute: of the file descriptor or as given.
    pub paths: Vec<PathBuf>,
    /// Flags and numbers, as printed.
    pub text: String,
    /// Bytes written.
    pub data: Vec<u8>,
}

/// Calls of a trace written with `-y -xx`, in the order in which they ended; failed ones and those that never ended are left
/// out.
pub fn calls(trace: &Path, folder: &Path) -> Vec<Call> {
    let text = fs::read_to_string(trace).unwrap();
    // one beside which another thread made a call stands in two pieces
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut all = Vec::new();
    for line in text.lines() {
        let Some((thread, what)) = line.split_once(' ') else {
            continue;
        };
        let what = what.trim_start();
        if let Some(first) = what.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, first);
        } else if let Some(last) = what.strip_prefix("<... ") {
            let first = begun.remove(thread);
            let last = last.split_once(" resumed>").map(|(_, last)| last);
            let whole = first
                .zip(last)
                .map(|(first, last)| format!("{first}{last}"));
            all.extend(whole.and_then(|whole| call(&whole, folder)));
        } else {
            all.extend(call(what, folder));
        }
    }
    all
}

fn call(line: &str, folder: &Path) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (inside, result) = rest.rsplit_once(") ")?;
    let result = result.trim_start().strip_prefix("= ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let absolute = |bytes: Vec<u8>| folder.join(String::from_utf8_lossy(&bytes).as_ref());
    let mut paths = Vec::new();
    let mut data = Vec::new();
    if let Some((number, after)) = inside.split_once('<')
        && number.parse::<i32>().is_ok()
        && let Some((path, _)) = after.split_once('>')
    {
        paths.push(absolute(bytes(path)));
    }
    for (index, quoted) in inside.split('"').enumerate() {
        if index % 2 == 1 {
            match name.contains("write") {
                true => data = bytes(quoted),
                false => paths.push(absolute(bytes(quoted))),
            }
        }
    }
    Some(Call {
        name: name.to_owned(),
        paths,
        text: inside.to_owned(),
        data,
    })
}

/// `\x61\x62` as bytes.
fn bytes(text: &str) -> Vec<u8> {
    let pairs = text.split("\\x").skip(1);
    pairs
        .filter_map(|pair| u8::from_str_radix(pair.get(..2)?, 16).ok())
        .collect()
}
