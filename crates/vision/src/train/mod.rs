//! Training of the compact edge network, adapting of any, and the measure they are judged by.
//!
//! [`EdgeTrainer`] takes mini-batches of random crops that [`stream`] draws from [`ExampleSource`]s, which hold no
//! image: each is loaded or generated when a crop of it is due and freed after. [`benchmark`] scores any
//! [`crate::edge::EdgeNetwork`] against edge maps.

mod adamw;
mod augment;
mod batch;
pub mod benchmark;
mod error;
mod example;
mod gradient;
mod labelled;
mod loss;
mod loss_scale;
mod pace;
mod settings;
mod shapes;
mod subject;
mod trainer;

pub use adamw::AdamW;
pub use augment::Crop;
pub use batch::{Mixture, Part, crops, judging_crops, steps_held, stream};
pub use error::TrainError;
pub use example::{Example, ExampleSource, FolderExamples, SceneExamples};
pub use labelled::LabelledExamples;
pub use loss::Balance;
pub use pace::Pace;
pub use settings::TrainSettings;
pub use shapes::ShapeExamples;
pub use subject::Subject;
pub use trainer::{EdgeTrainer, Failing, StepReport};
