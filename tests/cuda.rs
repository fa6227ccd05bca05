//! The program built with CUDA, on a machine without a GPU: it starts, says what is missing, and works on the CPU.
//!
//! Drives `target/cuda/release/bo`, which `make cuda` builds, or the one that `BO_CUDA_BIN` names; where there is none
//! these tests say that they were skipped. The stand-ins for CUDA's libraries are tested in any case.
#![expect(clippy::print_stderr, reason = "says what was skipped")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The program built with CUDA.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("BO_CUDA_BIN").map(PathBuf::from);
    let built = Path::new(ROOT).join("target/cuda/release/bo");
    let found = named.or_else(|| built.exists().then_some(built));
    if found.is_none() {
        eprintln!("SKIPPED: the program built with CUDA (make cuda builds it)");
    }
    found
}

/// Whether there is a driver here, so that what follows where there is none cannot be seen.
fn has_driver() -> bool {
    let found = Command::new("nvidia-smi").stdin(Stdio::null()).output();
    let found = found.is_ok() || Path::new("/proc/driver/nvidia").exists();
    if found {
        eprintln!(
            "SKIPPED: what is said where there is no GPU (there is one; make gpu-check tests it)"
        );
    }
    found
}

fn bo(program: &Path, words: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(words.split(' '))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn without_a_gpu_auto_takes_the_cpu_and_says_so() {
    let Some(program) = program().filter(|_| !has_driver()) else {
        return;
    };
    let small = "run --scenes 2 --n-initial 1 --n-w 1 --iterations 1 --out r";
    let (code, _, said) = bo(&program, small);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no GPU: CPU"), "{said}");
    // the same numbers as the program without CUDA
    let plain = bo(
        Path::new(env!("CARGO_BIN_EXE_bo")),
        &format!("{small} --json --quiet"),
    );
    let cuda = bo(&program, &format!("{small} --json --quiet"));
    let history = |text: &str| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["history"].clone()
    };
    assert_eq!(history(&cuda.1), history(&plain.1));
}

#[test]
fn a_gpu_that_is_asked_for_and_missing_is_exit_6_with_the_reason() {
    let Some(program) = program().filter(|_| !has_driver()) else {
        return;
    };
    for device in ["cuda:0", "cuda:3"] {
        let (code, _, said) = bo(&program, &format!("run --device {device} --out r"));
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains("no NVIDIA driver"), "{said}");
        assert!(said.contains("--device cpu"), "{said}");
    }
    let (code, _, said) = bo(&program, "gpu");
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("no GPU"), "{said}");
}

#[test]
fn a_stand_in_opens_the_real_library_at_the_first_call() {
    // libm stands for CUDA's: arguments in vector and integer registers, a function that is not there, no library
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let symbols = file(
        "symbols.h",
        "CALL(pow)\nCALL(ldexp)\nCALL(of_another_version)\n",
    );
    let nowhere = file("nowhere.h", "CALL(lost)\nTEXT(lost_words)\n");
    let uses = "#include <stdio.h>\n\
        double pow(double, double), ldexp(double, int);\n\
        int of_another_version(void), lost(void);\n\
        const char *lost_words(int);\n\
        int main(int count, char **words) {\n\
          volatile double two = count + 1;\n\
          printf(\"%g %g %g %d %d %s\", pow(two, 10), pow(two, 11), ldexp(two, 3), of_another_version(), lost(), lost_words(1));\n\
        }\n";
    let uses = file("uses.c", uses);
    let gcc = |words: &[&str]| {
        let done = Command::new("gcc")
            .args(words)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let source = format!("{ROOT}/cuda/stand_in.c");
    for (object, symbols, library) in [
        (
            "there.o",
            &symbols,
            r#"-DLIBRARY="libnone.so.9","libm.so.6""#,
        ),
        ("absent.o", &nowhere, r#"-DLIBRARY="libnone.so.9""#),
    ] {
        let symbols = format!("-DSYMBOLS=\"{symbols}\"");
        gcc(&[
            "-O2",
            "-fPIC",
            "-Wall",
            "-Werror",
            "-c",
            &source,
            "-o",
            object,
            &symbols,
            library,
            "-DABSENT=34",
        ]);
    }
    gcc(&[
        "-O2",
        "-fno-builtin",
        &uses,
        "there.o",
        "absent.o",
        "-o",
        "uses",
    ]);
    let said = Command::new(folder.path().join("uses"))
        .output()
        .unwrap()
        .stdout;
    let said = String::from_utf8(said).unwrap();
    assert_eq!(
        said,
        "1024 2048 16 34 34 the library is not on this machine"
    );
}
