//! Climbing to the memory budget in steps, and back, on the host and on the first GPU: what is promised can be had, and comes
//! back.
//!
//! Linux promises more than there is and kills whoever touches it: each step is taken only while the system says that
//! there is room for it, and then touched. A card says no by itself.

use std::hint::black_box;

use bo_memory::device::{self, DevicePool};
use candle_core::{DType, Device, Tensor};

use super::{Answer, Patient, grew, resident, room};
use crate::quantity::bytes;

const STEPS: u64 = 8;
/// Left to everything else on this machine.
const SPARE: u64 = 32 << 20;

/// Of the host's memory.
pub fn check(patient: &Patient) -> Answer {
    on_host(patient.budget, room)
}

fn on_host(budget: u64, room: impl Fn() -> Option<u64>) -> Answer {
    let before = resident();
    if let Some(there) = room().map(|room| room.saturating_sub(SPARE))
        && there < budget
    {
        return Answer::bad(
            format!(
                "{} of host memory are to be had, of {}",
                bytes(there),
                bytes(budget)
            ),
            less(there / 10 * 9),
        );
    }
    let reached = climb(budget, |step| {
        let mut piece: Vec<u8> = Vec::new();
        let there = room().is_none_or(|room| room >= step + SPARE);
        let size = usize::try_from(step).ok().filter(|_| there)?;
        piece.try_reserve_exact(size).ok()?;
        piece.resize(size, 1);
        Some(black_box(piece))
    });
    let after = resident();
    let found = format!(
        "reached {} of {} of host memory; resident {} before, {} after",
        bytes(reached),
        bytes(budget),
        bytes(before),
        bytes(after)
    );
    if reached < budget {
        Answer::bad(found, less(reached))
    } else if grew(before, after) {
        Answer::note(
            found,
            "the system's allocator keeps what was freed: runs hold more than they use",
        )
    } else {
        Answer::good(found)
    }
}

/// What to do where only so many bytes are to be had.
fn less(there: u64) -> String {
    match there >> 20 {
        0 => "end what holds this machine's memory".to_owned(),
        megabytes => format!("give runs less: --host-memory-mb {megabytes}"),
    }
}

/// Takes `budget` bytes in [`STEPS`] pieces and gives all back; the bytes that could be had.
fn climb<P>(budget: u64, take: impl Fn(u64) -> Option<P>) -> u64 {
    let mut pieces = Vec::new();
    let mut reached = 0;
    while reached < budget
        && let step = (budget - reached).min(budget.div_ceil(STEPS))
        && let Some(piece) = take(step)
    {
        pieces.push(piece);
        reached += step;
    }
    reached
}

/// Of the first GPU's, where there is one.
pub fn on_device(patient: &Patient) -> Answer {
    let card = match device::probe(0) {
        Ok(card) => card,
        Err(reason) => return Answer::good(format!("no device budget to climb to: {reason}")),
    };
    // nothing that is given back stays with the pool
    let opened = Device::new_cuda(0).map_err(|error| error.to_string());
    let pool = opened.and_then(|gpu| match DevicePool::open(0, 0) {
        Ok(pool) => Ok((gpu, pool)),
        Err(error) => Err(error.to_string()),
    });
    let (gpu, pool) = match pool {
        Ok(both) => both,
        Err(reason) => return Answer::note(reason, "runs on this GPU are not held to a budget"),
    };
    let budget = match pool.bytes() {
        Ok(held) => held.room(patient.share),
        Err(error) => return Answer::bad(error.to_string(), "give runs --device cpu"),
    };
    let reached = climb(budget, |step| {
        let size = usize::try_from(step).ok()?;
        let piece = Tensor::zeros(size, DType::U8, &gpu).ok()?;
        // a card answers late: only what it has done was to be had
        gpu.synchronize().ok().map(|()| piece)
    });
    let back = pool.trim().and_then(|_| pool.bytes());
    let left = back.map_or(u64::MAX, |held| held.used);
    climbed(&card.name, patient.share, budget, reached, left)
}

/// What a climb on a card came to, `left` bytes of which did not come back.
fn climbed(card: &str, share: f64, budget: u64, reached: u64, left: u64) -> Answer {
    let found = format!(
        "reached {} of {} of {card} ({:.0} % of all but what others hold)",
        bytes(reached),
        bytes(budget),
        100.0 * share
    );
    if reached < budget {
        let less = share * reached as f64 / budget as f64;
        let change = format!("give runs less: --gpu-memory-fraction {:.2}", less - 0.005);
        Answer::bad(found, change)
    } else if left > 0 {
        let change = "memory of the GPU does not come back: please report this line";
        Answer::bad(format!("{found}; not all came back"), change)
    } else {
        Answer::good(format!("{found}; all came back"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use std::cell::Cell;

    #[test]
    fn no_step_is_taken_beyond_what_the_system_has() {
        let asked = Cell::new(0);
        let answer = on_host(8 << 20, || {
            asked.set(asked.get() + 1);
            Some(if asked.get() <= 4 { 1 << 40 } else { 1 << 20 })
        });
        assert_eq!((answer.verdict, asked.get()), (Verdict::Bad, 5));
        assert!(
            answer.change.ends_with("--host-memory-mb 3"),
            "{}",
            answer.change
        );
    }

    #[test]
    fn a_budget_beyond_the_machine_is_not_climbed_to_and_one_that_can_be_had_is_named() {
        let answer = on_host(1 << 50, || Some(SPARE + (100 << 20)));
        assert_eq!(answer.verdict, Verdict::Bad);
        assert!(
            answer.change.ends_with("--host-memory-mb 90"),
            "{}",
            answer.change
        );
        let answer = on_host(8 << 20, || Some(SPARE / 2));
        assert_eq!(answer.change, "end what holds this machine's memory");
    }

    #[test]
    fn every_byte_of_a_budget_is_climbed_to_and_all_pieces_are_given_back() {
        let held = std::rc::Rc::new(());
        for (budget, card, reached) in [(1001, 5000, 1001), (1000, 500, 500), (0, 500, 0)] {
            let taken = Cell::new(0);
            let top = Cell::new(0);
            let found = climb(budget, |step| {
                taken.set(taken.get() + step);
                top.set(std::rc::Rc::strong_count(&held));
                (taken.get() <= card).then(|| held.clone())
            });
            assert_eq!(found, reached);
            assert_eq!(std::rc::Rc::strong_count(&held), 1);
            assert!(top.get() <= STEPS as usize);
        }
    }

    #[test]
    fn a_card_that_gives_less_or_keeps_some_would_stop_a_run() {
        let of = |reached, left| climbed("a card", 0.8, 1000, reached, left);
        assert_eq!(of(1000, 0).verdict, Verdict::Good);
        assert_eq!(of(1000, 1).verdict, Verdict::Bad);
        let less = of(500, 0);
        assert_eq!(less.verdict, Verdict::Bad);
        assert!(less.change.contains("fraction 0.4") || less.change.contains("fraction 0.39"));
    }
}
