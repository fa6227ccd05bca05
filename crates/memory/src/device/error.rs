//! Why a GPU cannot be used: [`DeviceError`].

use thiserror::Error;

use super::{Capability, DeviceFault};
use crate::gpu::Holder;

/// A GPU that cannot be used, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// Nothing in this program could use one.
    #[error("this bo was built without CUDA (make cuda builds it in)")]
    NotBuilt,
    /// libcuda.so.1 does not open.
    #[error("no NVIDIA driver: libcuda.so.1 is not on this machine")]
    NoDriver,
    /// Fewer cards than asked for.
    #[error("no such GPU: {}", there(*count))]
    NoDevice {
        /// How many there are, numbered from 0.
        count: usize,
    },
    /// The card lacks instructions that the kernels use.
    #[error(
        "{name} has compute capability {capability}, older than the {built} that this bo was built for; {}",
        older(*capability)
    )]
    OldCard {
        /// The card.
        name: String,
        /// What it has.
        capability: Capability,
        /// What the kernels need.
        built: Capability,
    },
    /// The driver does not know the CUDA of the kernels.
    #[error(
        "the driver is too old: it knows CUDA {}, the kernels of this bo were compiled by CUDA {}; install a newer driver",
        version(*has), version(*needs)
    )]
    OldDriver {
        /// What it knows: 1000 x major + 10 x minor.
        has: u32,
        /// What is needed, likewise.
        needs: u32,
    },
    /// Others hold its memory.
    #[error("its memory is full: {}{}", room(*free, *total), held_by(holders))]
    Full {
        /// Bytes free; `None` where the driver does not tell.
        free: Option<u64>,
        /// Bytes in all.
        total: Option<u64>,
        /// Who holds them, most first.
        holders: Vec<Holder>,
    },
    /// One of CUDA's libraries does not open or does not start.
    #[error(
        "{library} cannot be used ({said}); install CUDA's libraries, of the version that this bo was built with, or name \
         the folder that holds them in LD_LIBRARY_PATH"
    )]
    NoLibrary {
        /// Its name.
        library: &'static str,
        /// What it said.
        said: String,
    },
    /// It is broken.
    #[error("{status}: {}", DeviceFault::Lost(status).meaning())]
    Lost {
        /// The driver's status.
        status: &'static str,
    },
    /// Anything else.
    #[error("{said}")]
    Failed {
        /// In the driver's words.
        said: String,
    },
}

impl DeviceError {
    /// What the words of a failed first use mean, where the driver itself has been found in order.
    pub fn at_first_use(words: &str) -> Self {
        let said = words.lines().next().unwrap_or_default().trim().to_owned();
        match DeviceFault::of(words) {
            Some(DeviceFault::OutOfMemory) => {
                return Self::Full {
                    free: None,
                    total: None,
                    holders: Vec::new(),
                };
            }
            Some(DeviceFault::Lost(status)) => return Self::Lost { status },
            None => {}
        }
        let libraries = [
            ("CUBLAS_STATUS_", "libcublas"),
            ("CURAND_STATUS_", "libcurand"),
            ("NVRTC_ERROR_", "libnvrtc"),
            ("CUDNN_STATUS_", "libcudnn"),
        ];
        let library = libraries.iter().find(|(status, _)| words.contains(status));
        match library {
            Some((_, library)) => Self::NoLibrary { library, said },
            None => Self::Failed { said },
        }
    }

    /// There is nothing to use, as opposed to something that does not work.
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NotBuilt | Self::NoDriver | Self::NoDevice { count: 0 }
        )
    }
}

fn there(count: usize) -> String {
    match count {
        0 => "the driver shows none".to_owned(),
        1 => "there is 1, cuda:0".to_owned(),
        _ => format!("there are {count}, cuda:0 to cuda:{}", count - 1),
    }
}

/// What helps a card of this capability.
fn older(capability: Capability) -> String {
    let least = Capability { major: 7, minor: 5 };
    match capability < least {
        true => format!("CUDA's present compiler begins at {least}"),
        false => format!(
            "make cuda CAP={}{} builds for it",
            capability.major, capability.minor
        ),
    }
}

fn version(number: u32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

fn room(free: Option<u64>, total: Option<u64>) -> String {
    match (free, total) {
        (Some(free), Some(total)) => format!("{} MiB free of {}", free >> 20, total >> 20),
        _ => "the driver does not tell how full".to_owned(),
    }
}

fn held_by(holders: &[Holder]) -> String {
    let each = holders.iter().map(|holder| {
        let bytes = holder
            .bytes
            .map_or_else(String::new, |bytes| format!("{} MiB by ", bytes >> 20));
        format!("{bytes}{} ({})", holder.program, holder.pid)
    });
    match each.collect::<Vec<_>>() {
        none if none.is_empty() => "; bo gpu tells who holds it".to_owned(),
        some => format!("; held: {}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_says_what_is_wrong_and_what_helps() {
        let cards = [
            (0, "none"),
            (1, "there is 1, cuda:0"),
            (4, "cuda:0 to cuda:3"),
        ];
        for (count, words) in cards {
            let said = DeviceError::NoDevice { count }.to_string();
            assert!(said.contains(words), "{said}");
        }
        let old = |major, minor| {
            let error = DeviceError::OldCard {
                name: "Tesla".into(),
                capability: Capability { major, minor },
                built: Capability { major: 8, minor: 0 },
            };
            error.to_string()
        };
        assert!(
            old(7, 5).contains("7.5, older than the 8.0"),
            "{}",
            old(7, 5)
        );
        assert!(old(7, 5).contains("make cuda CAP=75"), "{}", old(7, 5));
        assert!(old(7, 0).contains("begins at 7.5"), "{}", old(7, 0));
        let driver = DeviceError::OldDriver {
            has: 12_040,
            needs: 13_000,
        };
        assert!(driver.to_string().contains("knows CUDA 12.4"), "{driver}");
        assert!(driver.to_string().contains("by CUDA 13.0"), "{driver}");
        let full = DeviceError::Full {
            free: Some(300 << 20),
            total: Some(24_576 << 20),
            holders: vec![Holder {
                pid: 42,
                program: "python3".into(),
                bytes: Some(20_000 << 20),
            }],
        };
        let said = "its memory is full: 300 MiB free of 24576; held: 20000 MiB by python3 (42)";
        assert_eq!(full.to_string(), said);
    }

    #[test]
    fn a_failed_first_use_is_told_by_the_words_of_the_libraries() {
        let at = DeviceError::at_first_use;
        assert!(matches!(
            at("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"x\")"),
            DeviceError::Full { .. }
        ));
        let blas = at("CublasError(CUBLAS_STATUS_NOT_INITIALIZED)\n 0: frame");
        assert!(blas.to_string().contains("libcublas"), "{blas}");
        assert!(!blas.to_string().contains("frame"), "{blas}");
        let ecc = at("DriverError(CUDA_ERROR_ECC_UNCORRECTABLE)");
        assert!(ecc.to_string().contains("ECC"), "{ecc}");
        assert_eq!(at("odd").to_string(), "odd");
        assert!(DeviceError::NoDevice { count: 0 }.is_absence() && !ecc.is_absence());
    }
}
