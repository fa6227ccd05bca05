//! Whether what was given as edge maps looks like edge maps: a photograph teaches a network nonsense in silence.

use std::path::{Path, PathBuf};

use bo_vision::decode::decode_grey;

/// Maps that are looked at: the first ones of a folder.
const LOOKED_AT: usize = 3;
/// Grey levels that a drawn map has next to none of.
const NEITHER: std::ops::Range<u8> = 32..224;
/// Share of such pixels above which it is hardly a map; lines drawn softly stay well below.
const MOST: f64 = 0.3;

/// A remark on the first files of a folder of edge maps of which more than three in ten pixels are neither on nor off
/// an edge. What does not decode is told where it is used.
pub fn unlikely(edges: &Path) -> Option<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(edges)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.iter().take(LOOKED_AT).find_map(|file| {
        let pixels = decode_grey(file).ok()?.into_raw();
        let between = pixels.iter().filter(|grey| NEITHER.contains(grey)).count();
        let share = between as f64 / pixels.len() as f64;
        (share > MOST).then(|| {
            format!(
                "{}: {:.0} % of it is neither 0 nor 255: is it a photograph instead of an edge map (255 on an edge, 0 off it)?",
                file.display(),
                100.0 * share
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};

    use super::*;

    #[test]
    fn a_photograph_is_remarked_on_and_a_map_with_soft_lines_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, grey: fn(u32, u32) -> u8| {
            let image = GrayImage::from_fn(40, 40, |x, y| Luma([grey(x, y)]));
            image.save(folder.path().join(name)).unwrap();
        };
        save("a.png", |x, _| {
            [0, 90, 255, 90, 0, 0, 0, 0, 0, 0][x as usize % 10]
        });
        assert_eq!(unlikely(folder.path()), None);
        save("b.png", |x, y| (60 + 2 * x + y) as u8);
        let said = unlikely(folder.path()).unwrap();
        assert!(
            said.contains("b.png") && said.contains("photograph"),
            "{said}"
        );
    }
}
