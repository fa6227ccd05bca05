//! What the numbers of a training may be, whether they were typed or stand in a `train.json` that somebody wrote.

use super::Plan;

/// A number that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Its flag, without the dashes.
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
    /// What to type instead.
    pub remedy: String,
}

fn outside(key: &'static str, reason: String, instead: &str) -> Outside {
    Outside {
        key,
        reason,
        remedy: format!("type --{key} {instead}"),
    }
}

/// A count of 0, or of more than `most`.
fn count(key: &'static str, count: usize, most: usize) -> Result<(), Outside> {
    match count {
        0 => Err(outside(key, "0 is too few".to_owned(), "1 or more")),
        _ if count > most => {
            let reason = format!("{count} is too many; {most} is the most");
            Err(outside(key, reason, &format!("{most} or fewer")))
        }
        _ => Ok(()),
    }
}

impl Plan {
    /// Refuses a plan of which one number cannot be.
    ///
    /// # Errors
    /// [`Outside`]: the first.
    pub fn check(&self) -> Result<(), Outside> {
        let settings = &self.settings;
        count("steps", settings.steps, usize::MAX)?;
        count("batch", settings.batch, 4096)?;
        count("accumulate", settings.accumulate, 4096)?;
        count("judge-every", self.judge_every, usize::MAX)?;
        count("checkpoint-every", self.checkpoint_every, usize::MAX)?;
        if !settings.side.is_multiple_of(16) || !(32..=1024).contains(&settings.side) {
            let reason = format!("{} is no multiple of 16 from 32 to 1024", settings.side);
            return Err(outside("side", reason, "192"));
        }
        if !(settings.learning_rate > 0.0 && settings.learning_rate <= 1.0) {
            let reason = format!("{} is outside (0, 1]", settings.learning_rate);
            return Err(outside("learning-rate", reason, "0.002"));
        }
        if !(0.0..=1.0).contains(&settings.augmentation) {
            let reason = format!("{} is outside 0 .. 1", settings.augmentation);
            return Err(outside("augmentation", reason, "1"));
        }
        if let Some(adapt) = &self.adapt {
            if !(1..=512).contains(&adapt.rank) {
                let reason = format!("{} is outside 1 .. 512", adapt.rank);
                return Err(outside("rank", reason, "4"));
            }
            if !(adapt.scale.is_finite() && adapt.scale != 0.0) {
                let reason = format!("{} changes nothing", adapt.scale);
                return Err(outside("scale", reason, "1"));
            }
        }
        Ok(())
    }
}
