//! The plain numbers behind a contiguous tensor in main memory.

use candle_core::{CpuStorage, Layout, Result, Storage, bail};

/// The elements of a contiguous `f32` tensor in main memory.
///
/// # Errors
/// The storage is elsewhere, of another type, or strided.
pub(in crate::edge) fn slice<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => cpu_slice(storage, layout),
        _ => bail!("expected a tensor in main memory"),
    }
}

/// [`slice`] for storage already known to lie in main memory.
pub(in crate::edge) fn cpu_slice<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!(
            "expected a contiguous tensor, got strides {:?}",
            layout.stride()
        );
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}
