//! Holds OpenBLAS to one thread: its results change in the last bits with its number of threads.
//!
//! The library is the one built with locks, so that our own threads may call it side by side.
//! `unsafe` for the one call that sets its number.

use std::sync::Once;

unsafe extern "C" {
    fn openblas_set_num_threads(threads: std::ffi::c_int);
}

static SET: Once = Once::new();

/// One thread for OpenBLAS from now on, whatever the environment says. Costs nothing after the first call.
pub fn one_thread() {
    SET.call_once(|| {
        // SAFETY: takes a plain number, and `Once` keeps two threads from calling it at once.
        unsafe { openblas_set_num_threads(1) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rayon::prelude::*;

    #[test]
    fn threads_that_multiply_side_by_side_all_get_the_product() {
        one_thread();
        let n = 60;
        let a = Array2::from_shape_fn((n, n), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0);
        let product = a.dot(&a.t());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(8)
            .build()
            .unwrap();
        let wrong = pool.install(|| {
            (0..20_000)
                .into_par_iter()
                .filter(|_| a.dot(&a.t()) != product)
                .count()
        });
        assert_eq!(wrong, 0, "products differ: OpenBLAS without locks?");
    }
}
