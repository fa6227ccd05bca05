//! The host's memory budget: a run that cannot keep within it is not begun, one that comes to hold more is stopped, saved,
//! and goes on with more.

use std::process::Stdio;

use crate::case::Case;

const RUN: &str = "run --problem branin_williams --n-initial 2 --n-w 2 --iterations 6 --seed 3";

#[test]
fn a_budget_that_the_run_cannot_keep_within_is_refused_with_the_least_that_is() {
    let case = Case::new();
    let refused = case
        .bo(&format!("{RUN} --host-memory-mb 3 --out a"))
        .code(2)
        .says(&["3 MiB", "are resident before the first evaluation"]);
    assert!(!case.path("a").exists());
    // from there on none is admitted that would be stopped
    let enough = refused.named("--host-memory-mb");
    for megabytes in enough / 2..=enough {
        let out = format!("{RUN} --host-memory-mb {megabytes} --out with_{megabytes} --quiet");
        let done = case.bo(&out);
        assert!(
            done.code == 0 || done.stderr.contains("before the first evaluation"),
            "{megabytes}: {}",
            done.stderr
        );
    }
    assert!(case.path(&format!("with_{enough}/result.json")).exists());
    // the matrices of 20,000 evaluations: gigabytes that nobody has asked for yet
    case.bo("run --problem branin_williams --iterations 20000 --host-memory-mb 4000 --out a")
        .code(2)
        .says(&[
            "matrices of all that they evaluate take",
            "fewer --iterations",
        ]);
    case.bo(&format!("{RUN} --out whole")).ok();
    // nor by a resume, which leaves the run as it is
    case.bo("resume whole --iterations 20000 --host-memory-mb 4000")
        .code(2)
        .says(&["matrices of all that they evaluate"]);
    case.bo("verify whole").ok();
}

#[test]
fn a_run_that_comes_to_hold_too_much_is_saved_says_who_holds_it_and_goes_on_with_more() {
    let case = Case::new();
    case.bo(&format!("{RUN} --out whole")).ok();
    let leaking = case
        .command(&format!("{RUN} --host-memory-mb 128 --out a"))
        .env("BO_FAULT", "leak evaluate 2")
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(leaking.stderr).unwrap();
    assert_eq!(leaking.status.code(), Some(2), "{said}");
    for words in [
        "host-memory-mb (set by --host-memory-mb): 128 MiB",
        "are resident after iteration 2: unnamed 26",
        "observations",
        "everything is saved; to go on: bo resume a --host-memory-mb",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(case.path("a/interrupted.json").exists());
    assert!(!case.path("a/postmortem-001.json").exists());
    case.bo("resume a --host-memory-mb 512").ok();
    assert_eq!(case.values("a"), case.values("whole"));
    case.bo("verify a").ok();
}
