//! SIGKILL at random moments: the worker, its parent, both, with a grandchild of the objective still running.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::runs::{Bench, Record, fail, lines, record, succeed};
use super::{Chance, long};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    Parent,
    Both,
}

/// What came of the kills.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    alive: u32,
    restarted: usize,
}

/// The worker under a parent.
fn worker(parent: u32) -> Option<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// A program that leaves a child of its own running, and notes where that of an earlier attempt runs still.
fn with_grandchild(bench: &Bench) {
    let path = bench.path("objective.sh");
    let program = fs::read_to_string(&path).unwrap();
    let child = "here=$(dirname \"$0\")\n\
                 [ -e $here/child_$id ] && grep -q '^State:.[RSDT]' /proc/$(cat $here/child_$id)/status 2>/dev/null && (echo $id; grep ^State /proc/$(cat $here/child_$id)/status; cat /proc/$(cat $here/child_$id)/stat) >> $here/overlap.log\n\
                 sleep 20 >/dev/null 2>&1 &\necho $! > $here/child_$id\nsleep 0.02";
    fs::write(&path, program.replace("sleep 0.02", child)).unwrap();
}

/// The program as one process that answers line after line until its input ends.
fn as_server(bench: &Bench) {
    let path = bench.path("objective.sh");
    let program = fs::read_to_string(&path).unwrap();
    let (head, answer) = program.split_once("read line || exit 1\n").unwrap();
    let again = format!("{head}while read line; do\n{answer}done\n");
    fs::write(&path, again).unwrap();
}

fn run(bench: &Bench, seed: u64, out: &str) -> Command {
    let mut command = bench.bo(&["run", "--out", out, "--n-initial", "2", "--n-w", "2"]);
    command.args(["--alpha", "0.4", "--seed", &seed.to_string()]);
    let kind = KINDS[seed as usize % KINDS.len()];
    match kind {
        Kind::Problem => command.args(["--problem", "branin_williams", "--iterations", "12"]),
        Kind::Scenes => command.args(["--scenes", "4", "--iterations", "5"]),
        _ => command.args(["--command", "./objective.sh", "--space", "space.toml"]),
    };
    command.args(match kind {
        Kind::Problem | Kind::Scenes => &[][..],
        Kind::Once => &["--iterations", "5"],
        Kind::TwoAtOnce => &["--iterations", "3", "--batch", "2", "--jobs", "2"],
        Kind::Server => &["--iterations", "5", "--command-mode", "server"],
    });
    command
}

/// What is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Problem,
    /// A process of the program for each evaluation.
    Once,
    TwoAtOnce,
    /// One process for all evaluations, kept alive between them.
    Server,
    /// The main job; every other time with its cache gone when it is taken up again.
    Scenes,
}

/// By seed, in turn.
const KINDS: [Kind; 5] = [
    Kind::Problem,
    Kind::Once,
    Kind::TwoAtOnce,
    Kind::Server,
    Kind::Scenes,
];

/// One run, killed once after `moment`, taken up again to its end.
fn trial(bench: &Bench, seed: u64, out: &str, victim: Victim, moment: Duration) -> Tally {
    for entry in fs::read_dir(bench.path("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("child_") || name.ends_with(".log") {
            fs::remove_file(path).unwrap();
        }
    }
    let kind = KINDS[seed as usize % KINDS.len()];
    let mut child = run(bench, seed, out).spawn().unwrap();
    std::thread::sleep(moment);
    let alive = child.try_wait().unwrap().is_none();
    if victim == Victim::Both {
        // a parent that runs on between the two kills would begin another worker: that would be two deaths
        send("-STOP", child.id());
    }
    if victim != Victim::Parent
        && let Some(worker) = worker(child.id())
    {
        send("-KILL", worker);
    }
    if victim == Victim::Worker {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "seed {seed} {moment:?}: {said}");
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = bench.path(out).join("cache");
        if kind == Kind::Scenes && moment.as_micros().is_multiple_of(2) && cache.exists() {
            fs::remove_dir_all(cache).unwrap();
        }
        if bench.path(out).join("run.json").exists() {
            succeed(&mut bench.bo(&["resume", out]));
        } else {
            fail(&mut bench.bo(&["resume", out]), 3);
            succeed(&mut run(bench, seed, out));
        }
    }
    let at_once = if kind == Kind::TwoAtOnce { 2 } else { 1 };
    Tally {
        kills: 1,
        alive: u32::from(alive),
        restarted: restarted(
            bench,
            out,
            at_once,
            &format!("seed {seed}, {victim:?}, {moment:?}"),
        ),
    }
}

/// Sends a signal; a process that is gone already needs none.
fn send(signal: &str, process: u32) {
    let _ = Command::new("kill")
        .args([signal, &process.to_string()])
        .output();
}

/// Evaluations that were started twice: at most those `at_once` under way, and never one that was finished.
fn restarted(bench: &Bench, out: &str, at_once: u64, trial: &str) -> usize {
    let mut starts: BTreeMap<u64, u64> = BTreeMap::new();
    for line in lines(&bench.path(out).join("attempts.jsonl")) {
        if line["iteration"].is_u64() {
            *starts.entry(line["id"].as_u64().unwrap()).or_default() += 1;
        }
    }
    for line in lines(&bench.path(out).join("evaluations.jsonl")) {
        let id = line["id"].as_u64().unwrap();
        // what is recorded is the last start: nothing was started after it had finished
        let last = line["attempt"].as_u64().unwrap() + 1;
        assert_eq!(
            starts[&id], last,
            "{trial}: evaluation {id} was started again"
        );
    }
    let again: u64 = starts.values().map(|count| count - 1).sum();
    assert!(again <= at_once, "{trial}: {again} extra starts");
    let programs = bench.starts().len() as u64;
    assert!(
        programs <= starts.len() as u64 + at_once,
        "{trial}: {programs} programs"
    );
    assert!(
        !bench.path("overlap.log").exists(),
        "{trial}: an evaluation was started again beside its earlier attempt: {}",
        fs::read_to_string(bench.path("overlap.log")).unwrap_or_default()
    );
    again as usize
}

#[test]
fn runs_killed_at_random_moments_are_the_same_runs() {
    let (seeds, kills) = if long() { (20, 25) } else { (5, 3) };
    let begun = Instant::now();
    let mut total: BTreeMap<String, Tally> = BTreeMap::new();
    for seed in 0..seeds {
        let bench = Bench::new();
        with_grandchild(&bench);
        if KINDS[seed as usize % KINDS.len()] == Kind::Server {
            as_server(&bench);
        }
        let started = Instant::now();
        succeed(&mut run(&bench, seed, "whole"));
        let length = started.elapsed();
        let whole: Record = record(&bench.path("whole"));
        let mut chance = Chance(seed);
        for kill in 0..kills {
            let victim = [Victim::Worker, Victim::Parent, Victim::Both][kill % 3];
            let moment = length.mul_f64(chance.share());
            let out = format!("killed_{kill}");
            let tally = trial(&bench, seed, &out, victim, moment);
            let message = format!("seed {seed}, {victim:?} killed after {moment:?} of {length:?}");
            assert_eq!(record(&bench.path(&out)), whole, "{message}");
            let what = format!("{:?}, {victim:?}", KINDS[seed as usize % KINDS.len()]);
            let sum = total.entry(what).or_default();
            sum.kills += tally.kills;
            sum.alive += tally.alive;
            sum.restarted += tally.restarted;
        }
    }
    let alive: u32 = total.values().map(|tally| tally.alive).sum();
    let made: u32 = total.values().map(|tally| tally.kills).sum();
    // a kill that comes after the end shows nothing; most must find a run to kill
    assert!(
        2 * alive > made,
        "{alive} of {made} kills found a run alive"
    );
    for (what, tally) in total {
        eprintln!(
            "{what}: {} kills, {} found it alive, promise held each time, {} evaluations started a second time",
            tally.kills, tally.alive, tally.restarted
        );
    }
    eprintln!("{seeds} runs in {:.0} s", begun.elapsed().as_secs_f64());
}

#[test]
fn a_run_killed_again_and_again_is_the_same_run() {
    let bench = Bench::new();
    succeed(&mut run(&bench, 1, "whole"));
    let mut child = run(&bench, 1, "killed").spawn().unwrap();
    let mut rounds: u64 = 0;
    loop {
        rounds += 1;
        // a little longer each time: on a machine that is busy otherwise a run needs that long to begin
        std::thread::sleep(Duration::from_millis(120 + 10 * (rounds % 7) + rounds));
        match child.try_wait().unwrap() {
            Some(status) if status.success() => break,
            Some(status) => panic!("resume ended with {status}"),
            None => {}
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(rounds < 300, "the run does not get on");
        child = match bench.path("killed/run.json").exists() {
            true => bench.bo(&["resume", "killed"]).spawn().unwrap(),
            false => run(&bench, 1, "killed").spawn().unwrap(),
        };
    }
    eprintln!("killed {} times in one run", rounds - 1);
    assert_eq!(record(&bench.path("killed")), record(&bench.path("whole")));
}
