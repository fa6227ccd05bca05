//! How much memory there is, what limits it, and whether an out-of-memory kill would be seen.

use bo_memory::{cgroup, host};
use rustix::process::{Resource, getrlimit};

use super::{Answer, Patient};
use crate::quantity::bytes;

/// The main job's peak with room to spare.
const LEAST: u64 = 300 << 20;

pub fn check(patient: &Patient) -> Answer {
    let room = super::room();
    let mut found = vec![match host::total() {
        Some(total) => format!("{} in this machine", bytes(total)),
        None => "size unknown".to_owned(),
    }];
    found.extend(room.map(|room| format!("{} to be had", bytes(room))));
    found.push(match cgroup::limit() {
        Some(limit) => format!("a cgroup allows {}", bytes(limit)),
        None => "no cgroup limits it".to_owned(),
    });
    found.extend(
        getrlimit(Resource::As)
            .current
            .map(|limit| format!("RLIMIT_AS allows {}", bytes(limit))),
    );
    found.push(match cgroup::kills() {
        Some(0) => "no out-of-memory kill so far".to_owned(),
        Some(kills) => {
            format!("the kernel has killed {kills} process(es) of this group for want of memory")
        }
        None => "out-of-memory kills are not counted here".to_owned(),
    });
    let text = found.join(", ");
    let held = super::resident();
    if patient.budget < held {
        return Answer::bad(
            format!(
                "a budget of {}, and this program alone holds {}",
                bytes(patient.budget),
                bytes(held)
            ),
            format!("give runs more: --host-memory-mb {}", LEAST >> 20),
        );
    }
    match room {
        Some(room) if room < LEAST => Answer::bad(
            text,
            format!(
                "end other programs or raise the limit: {} are needed",
                bytes(LEAST)
            ),
        ),
        None => Answer::note(
            text,
            "this system does not tell: watch the first run with bo watch",
        ),
        _ if cgroup::kills().is_some_and(|kills| kills > 0) => Answer::note(
            text,
            "something here needs more than it may have: give runs --host-memory-mb",
        ),
        _ => Answer::good(text),
    }
}
