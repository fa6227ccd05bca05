//! A disk that is full, fails, writes short or is read-only, and too few open files: said clearly, nothing lost, and
//! the run goes on once that is mended.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::long;
use super::runs::{Bench, lines, record, succeed};
use super::strace::{available, traced};

const RUN: &str =
    "--problem branin_williams --n-initial 2 --n-w 2 --iterations 6 --checkpoint-every 1 --quiet";

fn run(bench: &Bench, out: &Path) -> Command {
    let mut command = bench.bo(&["run", "--no-supervise", "--threads", "1"]);
    command.args(RUN.split(' ')).arg("--out").arg(out);
    command
}

/// It ended with exit 3 and words on what is wrong and what to type; never by a panic.
fn refused(output: &Output, out: &Path, reasons: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(reasons.iter().any(|reason| said.contains(reason)), "{said}");
    let next = format!("bo resume {}", out.display());
    assert!(
        said.contains(&next) || said.contains("type the same again"),
        "{said}"
    );
}

/// Goes on from whatever the failure left, to the same answer; what was recorded stays.
fn recovers(bench: &Bench, out: &Path) {
    let before = fs::read_to_string(out.join("evaluations.jsonl")).unwrap_or_default();
    match out.join("run.json").exists() {
        true => succeed(bench.bo(&["resume", "--quiet"]).arg(out)),
        false => succeed(&mut run(bench, out)),
    };
    assert_eq!(record(out), record(&bench.path("whole")));
    let after = fs::read_to_string(out.join("evaluations.jsonl")).unwrap();
    for line in before.lines().filter(|line| line.ends_with("\"}")) {
        assert!(after.contains(line), "lost or done again: {line}");
    }
}

#[test]
fn errors_of_the_disk_are_named_and_survived() {
    if !available() {
        return;
    }
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let step = if long() { 1 } else { 15 };
    let faults = [
        ("write", "error=ENOSPC", "No space left"),
        ("write", "error=EIO", "Input/output error"),
        ("write", "error=EROFS", "Read-only file system"),
        ("fsync", "error=EIO", "Input/output error"),
        ("fsync", "error=ENOSPC", "No space left"),
        ("rename", "error=EIO", "Input/output error"),
        ("ftruncate", "error=EIO", "Input/output error"),
    ];
    let mut injected = 0;
    for (kind, (name, fault, reason)) in faults.into_iter().enumerate() {
        for number in (1..=40).step_by(step) {
            let out = bench.path(&format!("{name}_{kind}_{number}"));
            let rule = format!("inject={name}:{fault}:when={number}+");
            let mut words = vec!["-o".to_owned(), "/dev/null".to_owned()];
            for file in durable() {
                words.extend(["-P".to_owned(), out.join(file).display().to_string()]);
            }
            words.extend([
                "-e".to_owned(),
                format!("trace={name}"),
                "-e".to_owned(),
                rule,
            ]);
            let words: Vec<&std::ffi::OsStr> = words.iter().map(AsRef::as_ref).collect();
            let output = traced(&run(&bench, &out), &words).output().unwrap();
            if output.status.success() {
                // no such call so late
                break;
            }
            refused(&output, &out, &[reason]);
            recovers(&bench, &out);
            injected += 1;
        }
    }
    eprintln!("{injected} failing calls (write, fsync, rename): named, and the run went on");
    assert!(injected > 10);
}

/// The loop's own thread syncs evaluations only together with the next start; the fourth sync is that of the other thread,
/// beside the fit of iteration 3.
#[test]
fn nothing_follows_from_an_evaluation_whose_sync_failed_beside_the_fit() {
    if !available() {
        return;
    }
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let out = bench.path("failed");
    let file = out.join("evaluations.jsonl").display().to_string();
    let words = ["-o", "/dev/null", "-P", &file, "-e", "trace=fsync"];
    let rule = ["-e", "inject=fsync:error=EIO:when=4+"];
    let words: Vec<&std::ffi::OsStr> = words.iter().chain(&rule).map(AsRef::as_ref).collect();
    let output = traced(&run(&bench, &out), &words).output().unwrap();
    refused(&output, &out, &["sync: Input/output error"]);
    let last = |file: &str| lines(&out.join(file)).last().unwrap()["iteration"].clone();
    assert_eq!(last("evaluations.jsonl"), 3);
    // neither the next decision nor a checkpoint that would hold it
    assert_eq!(last("decisions.jsonl"), 3);
    assert_eq!(last("memory.jsonl"), 2);
    assert!(out.join("iter_002.json").exists() && !out.join("iter_003.json").exists());
    recovers(&bench, &out);
}

#[test]
fn interrupted_writes_change_nothing() {
    if !available() {
        return;
    }
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let out = bench.path("short");
    let mut words = vec!["-o".to_owned(), "/dev/null".to_owned()];
    for file in durable() {
        words.extend(["-P".to_owned(), out.join(file).display().to_string()]);
    }
    let rule = "inject=write:error=EINTR:when=1+2".to_owned();
    words.extend([
        "-e".to_owned(),
        "trace=write".to_owned(),
        "-e".to_owned(),
        rule,
    ]);
    let words: Vec<&std::ffi::OsStr> = words.iter().map(AsRef::as_ref).collect();
    succeed(&mut traced(&run(&bench, &out), &words));
    assert_eq!(record(&out), record(&bench.path("whole")));
}

/// Has every write take half of what it is given.
const HALVES: &str = r#"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
ssize_t write(int fd, const void *bytes, size_t count) {
  return syscall(SYS_write, fd, bytes, count > 1 ? count / 2 : count);
}
"#;

#[test]
fn short_writes_change_nothing() {
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    fs::write(bench.path("halves.c"), HALVES).unwrap();
    let made = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o", "halves.so", "halves.c"])
        .current_dir(bench.path(""))
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no gcc, with which writes are made short");
        return;
    }
    let out = bench.path("short");
    let halves = bench.path("halves.so");
    succeed(run(&bench, &out).env("LD_PRELOAD", &halves));
    assert_eq!(record(&out), record(&bench.path("whole")));
    succeed(bench.bo(&["verify"]).arg(&out));
    let mut longer = bench.bo(&["resume", "--quiet", "--iterations", "+1"]);
    succeed(longer.arg(&out).env("LD_PRELOAD", &halves));
    succeed(bench.bo(&["verify"]).arg(&out));
}

/// The run into `out`, after a shell has done this.
fn limited(first: &str, out: &Path) -> Output {
    let script = format!(
        "{first} && exec \"$0\" run --no-supervise {RUN} --out {}",
        out.display()
    );
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_bo")])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_write_cut_short_by_a_limit_on_files_is_named_and_survived() {
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let mut named = 0;
    // in blocks of 512 bytes; the signal that comes with the limit is ignored, so that the rest of the write fails
    for blocks in (2..40).step_by(if long() { 1 } else { 9 }) {
        let out = bench.path(&format!("limit_{blocks}"));
        let output = limited(&format!("trap '' XFSZ; ulimit -f {blocks}"), &out);
        if !output.status.success() {
            named += 1;
            refused(&output, &out, &["File too large"]);
        }
        recovers(&bench, &out);
    }
    eprintln!("{named} writes cut short: named, and the run went on without the limit");
    assert!(named > 0);
}

/// Names of the files that count.
fn durable() -> Vec<String> {
    let mut names: Vec<String> = (0..=6)
        .map(|number| format!("iter_{number:03}.json"))
        .collect();
    names.extend(["run.json".to_owned(), "result.json".to_owned()]);
    let temporary: Vec<String> = names.iter().map(|name| format!("{name}.tmp")).collect();
    names.extend(temporary);
    names.extend(["evaluations", "decisions", "attempts"].map(|name| format!("{name}.jsonl")));
    names
}

/// `script` in a namespace of its own, where it may mount; none where that is not allowed, which is said.
fn in_namespace(bench: &Bench, script: &str) -> Option<Output> {
    let allowed = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("skipped: no mounts allowed here (unshare -rm)");
        return None;
    }
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .env("BO", env!("CARGO_BIN_EXE_bo"))
        .env("RUN", RUN)
        .current_dir(bench.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some(output)
}

#[test]
fn a_full_disk_is_named_and_the_run_goes_on_after_room_is_made() {
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let sizes: &[u32] = if long() {
        &[16, 20, 24, 28, 32, 36, 40, 44, 48, 56, 64, 72, 80, 96]
    } else {
        &[24, 48]
    };
    let mut full = 0;
    for size in sizes {
        // a small disk; the run fills it; it is made larger; the run goes on
        let script = format!(
            "mkdir -p disk && mount -t tmpfs -o size={size}k tmpfs disk && cd disk
             $BO run $RUN --out r 2>../said >/dev/null; echo $? >../code
             cp r/evaluations.jsonl ../before.jsonl 2>/dev/null || :>../before.jsonl
             mount -o remount,size=64m disk . 2>/dev/null || mount -o remount,size=64m ../disk
             if [ -e r/run.json ]; then $BO resume r --quiet; else $BO run $RUN --out r; fi >/dev/null && cp -r r ../again"
        );
        let _ = fs::remove_dir_all(bench.path("again"));
        let Some(output) = in_namespace(&bench, &script) else {
            return;
        };
        let said = fs::read_to_string(bench.path("said")).unwrap();
        let code = fs::read_to_string(bench.path("code")).unwrap();
        assert!(
            output.status.success(),
            "{size} kB: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        if code.trim() != "0" {
            full += 1;
            assert_eq!(code.trim(), "3", "{size} kB: {said}");
            assert!(
                said.contains("No space left") && said.contains("make room"),
                "{said}"
            );
        }
        assert_eq!(record(&bench.path("again")), record(&bench.path("whole")));
        let after = fs::read_to_string(bench.path("again/evaluations.jsonl")).unwrap();
        for line in lines(&bench.path("before.jsonl")) {
            assert!(
                after.contains(line["crc"].as_str().unwrap()),
                "{size} kB: lost {line}"
            );
        }
    }
    eprintln!(
        "{full} of {} disks were too small: named, and the run went on after room was made",
        sizes.len()
    );
    assert!(full > 0);
}

#[test]
fn a_read_only_disk_is_named_and_can_be_looked_at() {
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let half = RUN.replace("--iterations 6", "--iterations 3");
    let script = format!(
        "mkdir -p disk && mount -t tmpfs tmpfs disk && $BO run {half} --out disk/r >/dev/null &&
         mount -o remount,ro disk || exit 1
         $BO resume disk/r --iterations 6 --quiet 2>said; echo $? >code
         $BO show disk/r >shown || exit 1
         mount -o remount,rw disk && $BO resume disk/r --iterations 6 --quiet >/dev/null && cp -r disk/r again"
    );
    let Some(output) = in_namespace(&bench, &script) else {
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = fs::read_to_string(bench.path("said")).unwrap();
    assert_eq!(
        fs::read_to_string(bench.path("code")).unwrap().trim(),
        "3",
        "{said}"
    );
    assert!(
        said.contains("Read-only") && said.contains("make the disk writable"),
        "{said}"
    );
    assert!(
        fs::read_to_string(bench.path("shown"))
            .unwrap()
            .contains("iteration 3 of 3")
    );
    assert_eq!(record(&bench.path("again")), record(&bench.path("whole")));
}

#[test]
fn too_few_open_files_are_named_and_survived() {
    let bench = Bench::new();
    succeed(&mut run(&bench, &bench.path("whole")));
    let mut named = 0;
    for limit in (4..24).step_by(if long() { 1 } else { 4 }) {
        let out = bench.path(&format!("limit_{limit}"));
        let output = limited(&format!("ulimit -n {limit}"), &out);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "limit {limit}: {said}");
        if !output.status.success() {
            named += 1;
            assert!(
                // the last of them where the loader of the program finds none to open its libraries with
                ["Too many open files", "os error 24", "Error 24"]
                    .iter()
                    .any(|words| said.contains(words)),
                "limit {limit}: {said}"
            );
        }
        recovers(&bench, &out);
    }
    eprintln!("{named} limits on open files were too low: named, and the run went on without them");
}
