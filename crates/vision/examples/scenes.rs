//! Writes generated scenes, with their regions and edge maps, as PNG files to look at.
//!
//! `cargo run -p bo-vision --example scenes -- FOLDER [COUNT [SEED]]`

use std::path::PathBuf;

use bo_vision::scene::Scene;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().ok_or("usage: scenes FOLDER [COUNT [SEED]]")?);
    let count = words.next().map_or(Ok(24), |word| word.parse())?;
    let seed = words.next().map_or(Ok(0), |word| word.parse())?;
    std::fs::create_dir_all(&folder)?;
    for index in 0..count {
        let scene = Scene::generate(seed, index);
        scene
            .image
            .save(folder.join(format!("scene{index:03}.png")))?;
        scene
            .edges
            .save(folder.join(format!("edges{index:03}.png")))?;
    }
    Ok(())
}
