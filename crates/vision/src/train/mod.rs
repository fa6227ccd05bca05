//! Training of the compact edge network, and the measure it is judged by.
//!
//! [`EdgeTrainer`] takes mini-batches of random crops that [`stream`] draws from [`ExampleSource`]s, which hold no
//! image: each is loaded or generated when a crop of it is due and freed after. [`benchmark`] scores any
//! [`crate::edge::EdgeNetwork`] against edge maps.

mod adamw;
mod augment;
mod batch;
pub mod benchmark;
mod example;
mod loss;
mod shapes;
mod trainer;

pub use augment::Crop;
pub use batch::{Mixture, Part, crops, judging_crops, stream};
pub use example::{Example, ExampleSource, FolderExamples, SceneExamples};
pub use loss::Balance;
pub use shapes::ShapeExamples;
pub use trainer::{EdgeTrainer, StepReport, TrainError, TrainSettings};
