//! Where the network runs: what the user asked for, or an error with the reason. Never silently elsewhere.

use candle_core::Device;

use crate::exit::Failure;
use crate::settings::{self, Means};

/// A device that can be used.
pub struct Chosen {
    /// For candle.
    pub device: Device,
    /// For the record: `cpu` or `cuda:N`.
    pub name: String,
    /// Bytes of a GPU's memory that may be taken; `None` on the CPU, where the host's budget counts.
    pub allowed: Option<u64>,
    /// What the user should know about the choice.
    pub notice: Option<String>,
}

impl Chosen {
    /// `cpu` or `cuda`.
    pub fn kind(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }
}

/// The device that the settings ask for.
///
/// # Errors
/// [`Failure::Device`]: a GPU was asked for and cannot be used.
pub fn choose(means: &Means) -> Result<Chosen, Failure> {
    let cpu = |notice| Chosen {
        device: Device::Cpu,
        name: "cpu".into(),
        allowed: None,
        notice,
    };
    match means.device {
        settings::Device::Cpu => Ok(cpu(None)),
        settings::Device::Auto => Ok(match open(0) {
            Ok(device) => Chosen {
                device,
                name: "cuda:0".into(),
                allowed: allowed(0, means.gpu_memory_fraction),
                notice: None,
            },
            Err(_) => cpu(Some("no GPU: CPU".into())),
        }),
        settings::Device::Cuda(number) => match open(number) {
            Ok(device) => Ok(Chosen {
                device,
                name: format!("cuda:{number}"),
                allowed: allowed(number, means.gpu_memory_fraction),
                notice: None,
            }),
            Err(reason) => Err(Failure::Device {
                device: means.device.to_string(),
                origin: means.device_origin.clone(),
                reason,
                remedy: "type --device cpu, or --device auto to take a GPU only where there is one"
                    .into(),
            }),
        },
    }
}

#[cfg(feature = "cuda")]
fn open(number: usize) -> Result<Device, String> {
    Device::new_cuda(number).map_err(|error| error.to_string())
}

#[cfg(not(feature = "cuda"))]
fn open(_number: usize) -> Result<Device, String> {
    Err(
        "this bo was built without CUDA (cargo build --release --features cuda builds it in)"
            .into(),
    )
}

/// A share of a GPU's memory, less what is taken already.
#[cfg(feature = "cuda")]
fn allowed(number: usize, share: f64) -> Option<u64> {
    let (free, total) = bo_memory::device::DeviceMeter::open(number)
        .ok()?
        .free_and_total()?;
    Some(((total as f64 * share) as u64).saturating_sub(total - free))
}

#[cfg(not(feature = "cuda"))]
fn allowed(_number: usize, _share: f64) -> Option<u64> {
    None
}
