//! Generated weld scenes with exact true lines.
//!
//! [`Scene::generate`] draws a 640 x 480 photograph of steel plates, the four lines a welding robot looks
//! for, a region of interest around each, and the map of physical edges. A scene is a function of two
//! numbers: nothing is stored. [`SceneSource`] offers scenes as labelled images.

mod camera;
mod defect;
mod draw;
mod joint;
mod layout;
mod light;
mod plane;
mod render;
mod source;
mod texture;

pub use layout::{HEIGHT, WIDTH};
pub use render::Scene;
pub use source::SceneSource;
