//! The program built with CUDA, on a machine without a GPU: it starts, says what is missing, and works on the CPU.
//!
//! Drives `target/cuda/release/bo`, which `make cuda` builds, or the one that `BO_CUDA_BIN` names; where there is none
//! these tests say that they were skipped. The stand-ins for CUDA's libraries are tested in any case.
#![expect(clippy::print_stderr, reason = "says what was skipped")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A word of the environment by which `cuda/driver.c` is told what is wrong with its card, and how much.
type Wrong = (&'static str, &'static str);

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
fn whatever_is_wrong_with_a_card_is_named_before_it_is_used() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("driver.c"), include_str!("cuda/driver.c")).unwrap();
    let made = Command::new("gcc")
        .args(["-shared", "-fPIC", "driver.c", "-o", "libcuda.so.1"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(made.success());
    // who holds the memory is asked of the driver's tool
    let tool = "#!/bin/sh\ncase $1 in\n\
        --query-gpu=*) echo '0, GPU-a, Paper Card, 8192, 7900, 292, 0' ;;\n\
        *) echo 'GPU-a, 42, 7900, python3' ;;\nesac\n";
    std::fs::write(path("nvidia-smi"), tool).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path("nvidia-smi"), executable).unwrap();
    let search = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let bo = |words: &str, wrong: &[Wrong]| {
        let output = Command::new(&program)
            .args(words.split(' '))
            .current_dir(folder.path())
            .env("LD_LIBRARY_PATH", folder.path())
            .env("PATH", &search)
            .envs(wrong.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let cases: [(&str, &[Wrong], &str); 7] = [
        (
            "cuda:0",
            &[("DRIVER_INIT", "100")],
            "no such GPU: the driver shows none",
        ),
        (
            "cuda:2",
            &[("DRIVER_COUNT", "2")],
            "no such GPU: there are 2, cuda:0 to cuda:1",
        ),
        (
            "cuda:0",
            &[("DRIVER_VERSION", "12040")],
            "the driver is too old: it knows CUDA 12.4",
        ),
        (
            "cuda:0",
            &[("DRIVER_MAJOR", "5")],
            "Paper Card has compute capability 5.0, older than the",
        ),
        (
            "cuda:0",
            &[("DRIVER_RETAIN", "2")],
            "its memory is full: 292 MiB free of 8192; held: 7900 MiB by python3 (42)",
        ),
        (
            "cuda:0",
            &[("DRIVER_RETAIN", "214")],
            "an error that ECC cannot correct",
        ),
        ("cuda:0", &[], "libcublas"),
    ];
    for (device, wrong, words) in cases {
        let (code, said) = bo(&format!("run --device {device} --out r"), wrong);
        assert!(code == Some(6) && said.contains(words), "{wrong:?}: {said}");
    }
    // and where nobody asked for that card, the CPU is taken aloud
    let small = "run --scenes 2 --n-initial 1 --n-w 1 --iterations 1 --out cpu";
    let (code, said) = bo(small, &[("DRIVER_VERSION", "12040")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("CPU, as cuda:0 cannot be used: the driver is too old"),
        "{said}"
    );
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
