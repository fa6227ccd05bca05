//! The command line: one file per command.

mod adapt;
mod detect;
mod doctor;
mod evaluate;
mod export;
mod gpu;
mod import;
mod init;
mod loss_line;
mod plan;
mod point;
mod report;
mod result;
mod resume;
mod run;
mod schedule;
mod show;
mod stop;
mod supervision;
mod sweep;
mod train;
mod verify;
mod watch;

use std::process::ExitCode;

use bo_vision::decode::is_decoding;
use clap::{Parser, Subcommand};

use crate::exit::Failure;

/// Risk-averse Bayesian optimisation that finishes.
#[derive(Parser)]
#[command(
    name = "bo",
    version,
    about,
    max_term_width = 120,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs an optimisation
    Run(Box<run::RunArgs>),
    /// Many runs over values of some settings, one after the other; typed again it goes on
    Sweep(Box<sweep::SweepArgs>),
    /// Goes on with a run that was stopped, killed or is to be longer
    Resume(resume::ResumeArgs),
    /// The state of a run in one screen
    Show(show::ShowArgs),
    /// The same, kept up to date until the run ends
    Watch(watch::WatchArgs),
    /// Measures what a run recommends, on its data or on other
    Evaluate(evaluate::EvaluateArgs),
    /// Applies what a run recommends to images without labels
    Detect(detect::DetectArgs),
    /// Trains the edge network
    Train(train::TrainArgs),
    /// Adapts an edge network to your images with a handful of labelled ones; bo run --adapter takes the file
    Adapt(Box<adapt::AdaptArgs>),
    /// Runs as one HTML file with figures
    Report(report::ReportArgs),
    /// The memory a network will take here, and the batch that fits
    Plan(plan::PlanArgs),
    /// Memory of the GPUs and who holds it
    Gpu(gpu::GpuArgs),
    /// Ends a run cleanly, from another terminal
    Stop(stop::StopArgs),
    /// Whether runs would die on this machine, and of what; exit code 1 if something would stop one
    Doctor(doctor::DoctorArgs),
    /// Checks every file of a run and computes each decision again
    Verify(verify::VerifyArgs),
    /// What another program has evaluated becomes what a run begins with
    Import(import::ImportArgs),
    /// What a run evaluated, for other programs: CSV, JSON lines, the original's checkpoint
    Export(export::ExportArgs),
    /// Writes commented examples of bo.toml and space.toml
    Init(init::InitArgs),
}

/// Runs the command named on the command line.
pub fn main() -> ExitCode {
    crate::supervise::follow_parent();
    silence_decoders();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // --help and --version end well; anything else is bad arguments.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let end = match cli.command {
        Command::Run(args) => run::main(*args),
        Command::Sweep(args) => sweep::main(*args),
        Command::Resume(args) => resume::main(args),
        Command::Show(args) => show::main(&args),
        Command::Evaluate(args) => evaluate::main(&args),
        Command::Detect(args) => detect::main(&args),
        Command::Train(args) => train::main(&args),
        Command::Adapt(args) => adapt::main(&args),
        Command::Report(args) => report::main(&args),
        Command::Watch(args) => watch::main(&args),
        Command::Doctor(args) => doctor::main(&args),
        Command::Plan(args) => plan::main(&args),
        Command::Gpu(args) => gpu::main(&args),
        Command::Stop(args) => stop::main(&args),
        Command::Verify(args) => verify::main(&args),
        Command::Import(args) => import::main(&args),
        Command::Export(args) => export::main(&args),
        Command::Init(args) => init::main(&args),
    };
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Said { .. }) {
                say(&failure);
            }
            ExitCode::from(failure.code())
        }
    }
}

/// A panic inside a decoder becomes an error of the file, which is told of as such.
fn silence_decoders() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_decoding() {
            before(panic);
        }
    }));
}

/// The message of a failure, on stderr; a closed stderr is not worth another failure.
fn say(failure: &Failure) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "bo: {failure}");
}
