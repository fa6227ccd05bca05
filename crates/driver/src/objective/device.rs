//! Where the network runs: what the user asked for, or an error with the reason. Never silently elsewhere.

use bo_memory::device::{self, Capability, Card, DeviceError, DevicePool};
use bo_vision::edge::{EdgeFinder, Precision, round_products};
use candle_core::{DType, Device, Tensor};

use crate::exit::Failure;
use crate::settings::{self, Origin, Settings};

/// A device that can be used.
pub struct Chosen {
    /// For candle.
    pub device: Device,
    /// For the record: `cpu` or `cuda:N`.
    pub name: String,
    /// Numbers in which it computes.
    pub precision: Precision,
    /// A GPU's memory; `None` on the CPU, where the host's budget counts.
    pub card: Option<Reserve>,
    /// What the user should know about the choice.
    pub notices: Vec<String>,
}

impl Chosen {
    /// `cpu` or `cuda`.
    pub fn kind(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }
}

/// What may be taken of a GPU's memory.
#[derive(Clone)]
pub struct Reserve {
    /// Its bytes, counted; `None` where the card has no pool to count.
    pub pool: Option<DevicePool>,
    card: Card,
    share: f64,
}

impl Reserve {
    /// Bytes that all programs together may hold.
    pub fn budget(&self) -> u64 {
        (self.card.total as f64 * self.share) as u64
    }

    /// Bytes that may be taken now, whatever others have taken meanwhile.
    pub fn room(&self) -> u64 {
        let counted = self.pool.as_ref().and_then(|pool| pool.bytes().ok());
        match counted {
            Some(bytes) => bytes.room(self.share),
            None => self
                .budget()
                .saturating_sub(self.card.total - self.card.free),
        }
    }
}

/// A device that is asked for.
pub struct Wish<'w> {
    /// Which.
    pub device: settings::Device,
    /// Where that was said.
    pub origin: &'w Origin,
    /// Share of a GPU's memory that may be taken.
    pub share: f64,
    /// Numbers in which it is to compute.
    pub precision: Precision,
    /// What to do on a device that cannot compute in them.
    pub instead: &'static str,
}

/// The device that the settings ask for. Canny computes on the CPU alone.
///
/// # Errors
/// As [`open`]; [`Failure::Setting`] where a GPU is asked for and Canny.
pub fn choose(settings: &Settings) -> Result<Chosen, Failure> {
    let means = settings.means();
    let canny = settings.study().edge_model.as_deref() == Some(EdgeFinder::Canny.name());
    if canny && matches!(means.device, settings::Device::Cuda(_)) {
        return Err(Failure::Setting {
            key: "device".into(),
            origin: means.device_origin.clone(),
            reason: format!("{}: canny computes on the CPU alone", means.device),
            remedy: "leave out --device, or --edge-model".into(),
        });
    }
    open(&Wish {
        device: match canny {
            true => settings::Device::Cpu,
            false => means.device,
        },
        origin: &means.device_origin,
        share: means.gpu_memory_fraction,
        precision: settings.study().precision,
        instead: "type --precision float32, or leave it out",
    })
}

/// The device that is wished for.
///
/// # Errors
/// [`Failure::Device`]: a GPU was asked for and cannot be used. [`Failure::Setting`]: it cannot compute in the precision
/// that was asked for.
pub fn open(wish: &Wish<'_>) -> Result<Chosen, Failure> {
    let precision = wish.precision;
    let cpu = |notices| Chosen {
        device: Device::Cpu,
        name: "cpu".into(),
        precision,
        card: None,
        notices,
    };
    let gpu = |number| on_gpu(number, wish.share, precision);
    let chosen = match wish.device {
        settings::Device::Cpu => cpu(Vec::new()),
        settings::Device::Auto => match gpu(0) {
            Ok(chosen) => chosen,
            Err(reason) if reason.is_absence() => cpu(vec!["no GPU: CPU".into()]),
            Err(reason) => cpu(vec![format!("CPU, as cuda:0 cannot be used: {reason}")]),
        },
        settings::Device::Cuda(number) => gpu(number).map_err(|reason| Failure::Device {
            device: wish.device.to_string(),
            origin: wish.origin.clone(),
            reason: reason.to_string(),
            remedy: "type --device cpu, or --device auto to take a GPU only where there is one"
                .into(),
        })?,
    };
    let card = chosen.card.as_ref().map(|reserve| reserve.card.capability);
    if let Some(reason) = unable(precision, card, Capability::built()) {
        let why = chosen.notices.first().map(|notice| format!(" ({notice})"));
        return Err(Failure::Setting {
            key: "precision".into(),
            origin: Origin::Flag("--precision".into()),
            reason: reason + &why.unwrap_or_default(),
            remedy: wish.instead.into(),
        });
    }
    round_products(precision == Precision::Tf32);
    Ok(chosen)
}

/// Why a network cannot compute in `precision` on a card of this capability (`None`: on the CPU) with kernels built for
/// `built`.
fn unable(
    precision: Precision,
    card: Option<Capability>,
    built: Option<Capability>,
) -> Option<String> {
    let least = Capability { major: 8, minor: 0 };
    let of_ampere = matches!(precision, Precision::Tf32 | Precision::BFloat16);
    match card {
        _ if precision == Precision::Float32 => None,
        None => Some(format!("{precision} needs a GPU, and this runs on the CPU")),
        Some(card) if of_ampere && card < least => Some(format!(
            "{precision} needs a GPU of compute capability {least}, and this one has {card}"
        )),
        // float32 products are rounded by cuBLAS; maps of bfloat16 need kernels of our own build
        Some(_) if precision == Precision::BFloat16 && built.is_some_and(|built| built < least) => {
            built.map(|built| {
                format!("the kernels of this bo were built for {built}, and {precision} needs {least} (make cuda CAP=80)")
            })
        }
        Some(_) => None,
    }
}

/// GPU `number`, once a kernel has run there.
fn on_gpu(number: usize, share: f64, precision: Precision) -> Result<Chosen, DeviceError> {
    let card = device::probe(number)?;
    let failed = |error: candle_core::Error| DeviceError::at_first_use(&error.to_string());
    let device = Device::new_cuda(number).map_err(failed)?;
    first_use(&device).map_err(failed)?;
    let mut notices = Vec::new();
    let keep = (card.total as f64 * share) as u64;
    let pool = DevicePool::open(number, keep)
        .map_err(|error| notices.push(format!("bytes of cuda:{number} are not counted: {error}")))
        .ok();
    Ok(Chosen {
        device,
        name: format!("cuda:{number}"),
        precision,
        card: Some(Reserve { pool, card, share }),
        notices,
    })
}

/// Has a kernel run, so that a card that does not take this program's kernels is found out here.
fn first_use(device: &Device) -> candle_core::Result<()> {
    let ones = Tensor::ones(8, DType::F32, device)?;
    ones.affine(2.0, 1.0)?.to_vec1::<f32>().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_is_refused_where_it_cannot_be() {
        let of = |major, minor| Some(Capability { major, minor });
        let refused = |precision, card, built| unable(precision, card, built).unwrap_or_default();
        for card in [None, of(7, 5), of(9, 0)] {
            assert_eq!(unable(Precision::Float32, card, of(7, 5)), None);
        }
        for precision in [Precision::Tf32, Precision::Float16, Precision::BFloat16] {
            let said = refused(precision, None, None);
            assert!(
                said.contains("needs a GPU, and this runs on the CPU"),
                "{said}"
            );
            assert_eq!(unable(precision, of(9, 0), of(8, 0)), None);
        }
        assert_eq!(unable(Precision::Float16, of(7, 5), of(7, 5)), None);
        let old = refused(Precision::Tf32, of(7, 5), of(7, 5));
        assert!(old.contains("this one has 7.5"), "{old}");
        let built = refused(Precision::BFloat16, of(9, 0), of(7, 5));
        assert!(built.contains("make cuda CAP=80"), "{built}");
        assert_eq!(unable(Precision::Tf32, of(9, 0), of(7, 5)), None);
    }
}
