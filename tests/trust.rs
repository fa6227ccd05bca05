//! What foreign files and foreign words may not do: start programs, reach a shell, write elsewhere, learn secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::case::Case;

const ONE: &str = "[x.a]\nlow = 0.0\nhigh = 1.0\n";
/// Notes that it ran, and answers.
const PROGRAM: &str = "#!/bin/sh\necho \"$@\" >> ran\nread line\nid=${line#*\\\"id\\\":}\nid=${id%%,*}\necho \"{\\\"id\\\":$id,\\\"value\\\":0.5}\"\n";

fn with_program() -> Case {
    let case = Case::new().file("s.toml", ONE).file("o.sh", PROGRAM);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(case.path("o.sh"), executable).unwrap();
    case
}

const SMALL: &str = "--space s.toml --n-initial 1 --iterations 1 --quiet --out r";

#[test]
fn a_command_never_reaches_a_shell() {
    let case = with_program();
    let words = "./o.sh $(touch one) ; touch two && touch three | touch four > five `touch six`";
    case.bo(&format!("run --command '{words}' {SMALL}")).ok();
    let ran = case.read("ran");
    assert!(
        ran.lines().all(|line| words == format!("./o.sh {line}")),
        "{ran}"
    );
    assert_eq!(case.names(), ["o.sh", "r", "ran", "s.toml"]);
}

#[test]
#[expect(clippy::print_stderr, reason = "says what was skipped")]
fn a_run_of_another_user_starts_no_program_and_writes_nowhere_else() {
    let case = with_program();
    case.bo(&format!("run --command ./o.sh {SMALL} --cache elsewhere"))
        .ok();
    let foreign = |path: &Path| std::os::unix::fs::chown(path, Some(12_345), None).is_ok();
    if !foreign(&case.path("r/run.json")) {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    for name in ["r/iter_000.json", "r/iter_001.json"] {
        assert!(foreign(&case.path(name)));
    }
    std::fs::create_dir(case.path("alone")).unwrap();
    std::fs::rename(
        case.path("r/iter_000.json"),
        case.path("alone/iter_000.json"),
    )
    .unwrap();
    std::fs::remove_file(case.path("ran")).unwrap();
    for words in [
        "resume r --iterations 2",
        "resume r/iter_001.json --iterations 2",
        "resume r --iterations 2 --out new",
        "resume alone/iter_000.json",
        "evaluate r",
        "verify r",
    ] {
        case.bo(words)
            .code(2)
            .says(&["belongs to another user", "--command ./o.sh"]);
        assert!(!case.path("ran").exists(), "{words} started it");
        assert!(
            !case.path("new/run.json").exists() && !case.path("alone/run.json").exists(),
            "{words}"
        );
    }
    case.bo("resume r --iterations 2 --command ./o.sh --quiet")
        .ok();
    assert!(case.path("ran").exists() && !case.path("elsewhere").exists());
}

#[test]
#[expect(clippy::print_stderr, reason = "says what was skipped")]
fn a_checkpoint_of_another_user_in_ones_own_run_starts_no_program() {
    let case = with_program();
    case.bo(&format!("run --command ./o.sh {SMALL}")).ok();
    std::fs::remove_file(case.path("ran")).unwrap();
    std::fs::remove_file(case.path("r/run.json")).unwrap();
    // what the run is now stands in the newest checkpoint alone
    std::fs::rename(case.path("r/iter_001.json"), case.path("newest")).unwrap();
    for name in ["r/iter_001.json", "r/interrupted.json"] {
        std::fs::copy(case.path("newest"), case.path(name)).unwrap();
        if std::os::unix::fs::chown(case.path(name), Some(12_345), None).is_err() {
            eprintln!("SKIPPED: only root can give files away");
            return;
        }
        for words in ["resume r --iterations 2", "evaluate r", "verify r"] {
            case.bo(words).code(match words {
                // a run whose run.json is missing is named first
                "verify r" => 3,
                _ => 2,
            });
            assert!(!case.path("ran").exists(), "{words} started it");
        }
        std::fs::remove_file(case.path(name)).unwrap();
    }
}

#[test]
fn secrets_of_the_environment_are_in_no_file() {
    let case = with_program();
    let secret = "hunter2-5f0c1e";
    let mut run = case.command(&format!("run --command ./o.sh {SMALL}"));
    assert!(
        run.env("API_TOKEN", secret)
            .output()
            .unwrap()
            .status
            .success()
    );
    // a death is where most is written
    let mut run = case
        .command("run --problem branin_williams --n-initial 1 --iterations 1 --quiet --out died");
    run.env("API_TOKEN", secret).env("BO_FAULT", "segv fit 1");
    assert!(run.output().unwrap().status.success());
    assert!(case.path("died/postmortem-001.json").exists());
    for folder in ["r", "died"] {
        for entry in std::fs::read_dir(case.path(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(secret), "{} holds a secret", path.display());
            }
        }
    }
}

const CONSTRAINED: &str = "[x.a]\nlow = 0.0\nhigh = 1.0\n[[constraint]]\nprogram = \"./gate.sh\"\n";
const GATE: &str = "#!/bin/sh\necho asked >> gated\nwhile read line; do echo yes; done\n";

#[test]
#[expect(clippy::print_stderr, reason = "says what was skipped")]
fn constraint_programs_start_only_where_they_are_trusted() {
    let case = with_program()
        .file("s.toml", CONSTRAINED)
        .file("gate.sh", GATE);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(case.path("gate.sh"), executable).unwrap();
    case.bo(&format!("run --command ./o.sh {SMALL}")).ok();
    let refused = |words: &str, says: &[&str]| {
        std::fs::remove_file(case.path("gated")).ok();
        case.bo(words).code(2).says(says);
        assert!(!case.path("gated").exists(), "{words} started it");
    };
    // a changed space file is refused before its programs run, not after
    let changed = CONSTRAINED.replace("1.0", "0.9");
    std::fs::write(case.path("s.toml"), changed).unwrap();
    for words in [
        "resume r --iterations 2",
        "resume r --iterations 2 --accept-changed",
        "evaluate r",
        "verify r",
    ] {
        refused(words, &["space", "not what it was when the run began"]);
    }
    std::fs::write(case.path("s.toml"), CONSTRAINED).unwrap();
    case.bo("verify r").ok();
    assert!(case.path("gated").exists());
    // one that has broken since is named with its own words, and nothing is called altered
    let broken = GATE.replace(
        "while",
        "read line; echo 'no table of limits' >&2; exit 1; while",
    );
    std::fs::write(case.path("gate.sh"), broken).unwrap();
    for words in ["verify r", "resume r --iterations 2"] {
        case.bo(words).code(2).says(&[
            "constraint program ./gate.sh",
            "ended without a line yes or no",
            "its last words: no table of limits",
        ]);
    }
    std::fs::write(case.path("gate.sh"), GATE).unwrap();
    if std::os::unix::fs::chown(case.path("r/run.json"), Some(12_345), None).is_err() {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    for words in ["resume r --iterations 2", "evaluate r", "verify r"] {
        let words = format!("{words} --command ./o.sh");
        refused(&words, &["another user", "constraint programs: ./gate.sh"]);
    }
}
