//! The rules on the environments of images.

use super::Limits;
use crate::exit::Failure;
use crate::settings::{Environment, ImageEnvironment, RawSettings};

/// What an environment of images is; numbers that would be ignored are refused.
pub fn environment(raw: &RawSettings, limits: &Limits<'_>) -> Result<ImageEnvironment, Failure> {
    let kind = raw.environment.unwrap_or(Environment::Features);
    if kind == Environment::Features {
        for (key, written) in [
            ("environments", raw.environments.is_some()),
            ("environment-seed", raw.environment_seed.is_some()),
        ] {
            if written {
                return Err(limits.refuse(
                    key,
                    "has a meaning only with --environment corruptions or both".to_owned(),
                    &format!("add --environment corruptions, or leave out --{key}"),
                ));
            }
        }
        return Ok(ImageEnvironment::Features);
    }
    let count = raw.environments.unwrap_or(256);
    if !(1..=20_000).contains(&count) {
        return Err(limits.refuse(
            "environments",
            format!("{count} is outside 1 .. 20000"),
            "type --environments 256",
        ));
    }
    let seed = raw.environment_seed.unwrap_or(0);
    Ok(match kind {
        Environment::Both => ImageEnvironment::Both { count, seed },
        _ => ImageEnvironment::Corruptions { count, seed },
    })
}
