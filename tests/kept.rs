//! What is kept of images: used again by other runs over them, and not by those over other pixels or other weights.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use image::{Rgb, RgbImage};

use crate::case::Case;

const RUN: &str = "run --images imgs --labels imgs --weights w.safetensors --n-w all --n-initial 1 --iterations 1 \
                   --cache kept --quiet";

/// Two images with a line each, and the weights that ship as a file.
fn lines() -> Case {
    let case = Case::new().file("imgs/b_gt.txt", "10 40 80 44\n");
    let case = case.file("imgs/a_gt.txt", "10 20 80 20\n");
    draw(&case, "a", 20);
    draw(&case, "b", 42);
    let weights = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../vision/weights/compact.safetensors"
    );
    std::fs::copy(weights, case.path("w.safetensors")).unwrap();
    case
}

fn draw(case: &Case, name: &str, row: u32) {
    let image = RgbImage::from_fn(96, 64, |x, y| match y.abs_diff(row) {
        0..2 => Rgb([230, 230, 230]),
        _ => Rgb([(x + 2 * y) as u8, 80, 90]),
    });
    image.save(case.path(&format!("imgs/{name}.png"))).unwrap();
}

/// Files of what is kept: a file that is written again is another one.
fn kept(case: &Case) -> BTreeMap<String, u64> {
    let files = std::fs::read_dir(case.path("kept")).unwrap();
    let files = files.map(|file| file.unwrap());
    let named = files.map(|file| {
        let name = file.file_name().into_string().unwrap();
        (name, file.metadata().unwrap().ino())
    });
    named.filter(|(name, _)| name.ends_with(".kept")).collect()
}

#[test]
fn what_is_kept_serves_every_run_over_the_same_pixels_and_weights() {
    let case = lines();
    case.bo(&format!("{RUN} --out a")).ok();
    let first = kept(&case);
    assert_eq!(first.len(), 2);
    // another tail, another seed, a resume, an evaluation
    case.bo(&format!("{RUN} --alpha 0.5 --seed 7 --out b")).ok();
    case.bo("resume a --iterations 2 --quiet").ok();
    case.bo("evaluate b --json").ok();
    assert_eq!(kept(&case), first);

    // one image is another: it alone is seen again, and the run over the old one does not go on unawares
    draw(&case, "a", 24);
    case.bo("resume a --iterations 3 --quiet")
        .code(2)
        .says(&["a.png"]);
    case.bo(&format!("{RUN} --out c")).ok();
    let second = kept(&case);
    assert_eq!(second.len(), 3);
    assert!(first.iter().all(|file| second.get(file.0) == Some(file.1)));

    // so with weights, of which one number differs by its last bit
    let mut weights = std::fs::read(case.path("w.safetensors")).unwrap();
    let last = weights.len() - 4;
    weights[last] ^= 1;
    std::fs::write(case.path("w.safetensors"), weights).unwrap();
    case.bo("resume c --iterations 3 --quiet")
        .code(2)
        .says(&["weights"]);
    case.bo(&format!("{RUN} --out d")).ok();
    assert_eq!(kept(&case).len(), 5);
}

#[test]
fn an_image_is_decoded_once_and_a_damaged_record_of_it_is_noticed() {
    let case = lines();
    let looks = || {
        let mut files = std::fs::read_dir(case.path("kept")).unwrap();
        let path = files.find_map(|file| {
            let path = file.unwrap().path();
            (path.extension()? == "looks").then_some(path)
        });
        path.unwrap()
    };
    let inode = || looks().metadata().unwrap().ino();
    let environments = |run: &str| {
        let run: serde_json::Value =
            serde_json::from_str(&case.read(&format!("{run}/run.json"))).unwrap();
        run["environments"].clone()
    };
    case.bo(&format!("{RUN} --out a")).ok();
    let (sound, first) = (std::fs::read(looks()).unwrap(), inode());
    case.bo(&format!("{RUN} --out b")).ok();
    case.bo("evaluate b --json").ok();
    assert_eq!(inode(), first);

    let mut damaged = sound.clone();
    damaged[50] ^= 4;
    std::fs::write(looks(), damaged).unwrap();
    case.bo(&format!("{RUN} --out c")).ok();
    assert!(
        case.read("c/log.txt")
            .contains("1 damaged records of images")
    );
    assert_eq!(std::fs::read(looks()).unwrap().len(), sound.len());
    for run in ["b", "c"] {
        assert_eq!(environments(run), environments("a"));
    }
}
