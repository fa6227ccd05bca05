//! Links OpenBLAS (BLAS, LAPACK) from the distribution's package, statically where the archive
//! is there, so that the built binary runs on a machine without it.
//!
//! Debian's *pthread* build, held to one thread at run time (`linalg::threads`). Never the *serial* build:
//! it has no locks, and calls from several of our threads then share a work buffer and return
//! garbage. `BO_OPENBLAS_DIR` names another folder; what is there may be built otherwise, so only a packaged archive is
//! `openblas_packaged`, whose work buffers `linalg::scratch` may give back.

use std::{env, path::Path, process::Command};

const PACKAGED: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/openblas-pthread",
    "/usr/lib/aarch64-linux-gnu/openblas-pthread",
];

fn main() {
    println!("cargo:rerun-if-env-changed=BO_OPENBLAS_DIR");
    println!("cargo:rustc-check-cfg=cfg(openblas_packaged)");
    let named = env::var("BO_OPENBLAS_DIR").ok();
    let folders = named.iter().map(String::as_str).chain(PACKAGED);
    for folder in folders {
        if Path::new(folder).join("libopenblas.a").exists() {
            println!("cargo:rustc-link-search=native={folder}");
            println!("cargo:rustc-link-lib=static:-bundle=openblas");
            link_fortran_runtime();
            if PACKAGED.contains(&folder) {
                println!("cargo:rustc-cfg=openblas_packaged");
            }
            return;
        }
    }
    println!(
        "cargo:warning=libopenblas.a not found (Debian: apt-get install libopenblas-pthread-dev); \
         linking the shared library, which the binary will then need at run time"
    );
    println!("cargo:rustc-link-lib=dylib=openblas");
}

/// LAPACK is Fortran; gcc knows where its runtime archives lie.
fn link_fortran_runtime() {
    let compiler = env::var("CC").unwrap_or_else(|_| "gcc".into());
    for library in ["gfortran", "quadmath"] {
        let archive = Command::new(&compiler)
            .arg(format!("-print-file-name=lib{library}.a"))
            .output()
            .ok()
            .and_then(|out| String::from_utf8(out.stdout).ok())
            .map(|path| path.trim().to_owned())
            .unwrap_or_default();
        match Path::new(&archive).parent() {
            Some(folder) if Path::new(&archive).is_absolute() => {
                println!("cargo:rustc-link-search=native={}", folder.display());
                println!("cargo:rustc-link-lib=static:-bundle={library}");
            }
            _ => println!("cargo:rustc-link-lib=dylib={library}"),
        }
    }
}
