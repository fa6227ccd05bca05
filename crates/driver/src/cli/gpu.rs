//! `bo gpu`: the memory of this machine's GPUs, and who holds it.

use std::fmt;

use bo_memory::gpu::{self, Gpu};
use clap::Args;
use serde::Serialize;

use super::result::print;
use crate::exit::Failure;
use crate::quantity::bytes;
use crate::settings::Origin;

/// Flags of `bo gpu`.
#[derive(Args)]
pub struct GpuArgs {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// What is shown.
#[derive(Serialize)]
struct Table {
    format: &'static str,
    version: u32,
    gpus: Vec<Gpu>,
}

/// Shows the table.
///
/// # Errors
/// [`Failure::Device`]: there is no GPU, or its driver does not answer.
pub fn main(args: &GpuArgs) -> Result<(), Failure> {
    let none = |reason: String| Failure::Device {
        device: "gpu".into(),
        origin: Origin::Flag("bo gpu".into()),
        reason,
        remedy: "bo works on the CPU here; what it will take there: bo plan".into(),
    };
    let gpus = gpu::table().map_err(|error| none(error.to_string()))?;
    if gpus.is_empty() {
        return Err(none("the driver is there, but no GPU".into()));
    }
    let table = Table {
        format: "bo/gpu",
        version: 1,
        gpus,
    };
    print(&table, args.json)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for gpu in &self.gpus {
            writeln!(f, "cuda:{}  {}", gpu.index, gpu.name)?;
            let rows = [
                ("total", gpu.total),
                ("used", gpu.used),
                ("reserved", gpu.reserved),
                ("free", gpu.free),
            ];
            for (name, held) in rows {
                let words = held.map_or("not told".to_owned(), bytes);
                write!(f, "  {name:<9} {words:>10}")?;
                if let (Some(held), Some(total)) = (held, gpu.total) {
                    write!(f, "  {:5.1} %", 100.0 * held as f64 / total.max(1) as f64)?;
                }
                writeln!(f)?;
            }
            if gpu.holders.is_empty() {
                writeln!(f, "  held by no process that the driver shows")?;
            }
            for holder in &gpu.holders {
                let held = holder.bytes.map_or("not told".to_owned(), bytes);
                writeln!(
                    f,
                    "  held by {:>7} {held:>10}  {}",
                    holder.pid, holder.program
                )?;
            }
        }
        Ok(())
    }
}
