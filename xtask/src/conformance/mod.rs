//! `cargo xtask conformance`: other people's regression suites, direct and through Segue, compared.
//! Never here: starting servers (`server`, `segue`), running tests (`batch`, `client_test`).

mod batch;
mod client_test;
mod exceptions;
mod lane;
mod report;
mod results;
mod segue;
mod select;
mod server;
mod suite;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::report::Cell;
use self::results::Results;
use self::suite::{Mode, Path as Way, Suite};
use crate::steps::Steps;
use crate::{cargo, setup};

#[derive(Args)]
pub struct Arguments {
    /// Which suites
    #[arg(value_enum, default_values_t = [Suite::Mysql, Suite::Client, Suite::Mariadb])]
    suites: Vec<Suite>,
    /// How the clients talk
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Mode::ALL)]
    modes: Vec<Mode>,
    /// Phases of Segue's tables
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Way::THROUGH)]
    phases: Vec<Way>,
    /// Only tests whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    tests: Vec<String>,
    /// Only every so manieth test, so that this many remain
    #[arg(long)]
    sample: Option<usize>,
    /// Servers at work side by side
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run what has passed before as well; direct results are kept
    #[arg(long)]
    again: bool,
    /// Forget all earlier results of what is asked for, the direct ones too
    #[arg(long)]
    fresh: bool,
    /// Only tests that have been run direct before
    #[arg(long)]
    known: bool,
    /// Only compare what has been run before
    #[arg(long)]
    report: bool,
    /// The program; without it the release build, where there is one, else the debug build
    #[arg(long)]
    segue: Option<PathBuf>,
    /// Use what is installed; install nothing
    #[arg(long)]
    no_setup: bool,
}

/// What every run of this chore needs to know.
pub struct Scene {
    /// Results, logs and settings.
    folder: PathBuf,
    segue: PathBuf,
    jobs: usize,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let target = crate::target_folder(repository);
    let scene = Scene {
        folder: target.join("xtask/conformance"),
        segue: program(steps, repository, &target, arguments)?,
        jobs: arguments.jobs.max(1),
    };
    std::fs::create_dir_all(&scene.folder).context("create the folder for results")?;
    let mut cells = vec![];
    for &suite in &arguments.suites {
        if !arguments.no_setup && !arguments.report {
            setup::suite(steps, suite.kind())?;
        }
        let tests = select::tests(suite, &arguments.tests, arguments.sample)?;
        for &mode in arguments.modes.iter().filter(|mode| suite.has(**mode)) {
            cells.extend(compare(&scene, arguments, suite, mode, &tests)?);
        }
    }
    let exceptions = exceptions::all();
    println!("{}", report::text(&cells, &exceptions));
    let well = cells.iter().all(|cell| cell.unexplained(&exceptions).is_empty());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One suite in one mode: direct, then in each phase what passes direct.
fn compare(
    scene: &Scene,
    arguments: &Arguments,
    suite: Suite,
    mode: Mode,
    tests: &[String],
) -> Result<Vec<Cell>> {
    let open = |way: Way| {
        let name = format!("{}-{}-{}.json", suite.name(), mode.name(), way.name());
        let mut results = Results::open(&scene.folder.join(name))?;
        if arguments.fresh || (arguments.again && way != Way::Direct) {
            results.forget(tests);
        }
        Ok::<_, anyhow::Error>(results)
    };
    let mut direct = open(Way::Direct)?;
    let missing: Vec<String> =
        tests.iter().filter(|test| direct.get(test).is_none()).cloned().collect();
    if !arguments.report && !arguments.known {
        perform(scene, suite, mode, Way::Direct, &missing, &mut direct)?;
    }
    let passing: Vec<String> = tests.iter().filter(|test| direct.passed(test)).cloned().collect();
    let mut cells = vec![];
    for &way in arguments.phases.iter().filter(|way| **way != Way::Direct) {
        let mut through = open(way)?;
        // What failed is run again: it is what somebody works on.
        let missing: Vec<String> =
            passing.iter().filter(|test| !through.passed(test)).cloned().collect();
        if !arguments.report {
            perform(scene, suite, mode, way, &missing, &mut through)?;
        }
        cells.push(Cell::new(suite, mode, way, tests.len(), &passing, &through));
    }
    Ok(cells)
}

fn perform(
    scene: &Scene,
    suite: Suite,
    mode: Mode,
    way: Way,
    tests: &[String],
    results: &mut Results,
) -> Result<()> {
    if tests.is_empty() {
        return Ok(());
    }
    println!("{} {} {}: {} tests", suite.name(), mode.name(), way.name(), tests.len());
    lane::run_all(scene, suite, mode, way, tests, results)
}

fn program(
    steps: &Steps,
    repository: &Path,
    target: &Path,
    arguments: &Arguments,
) -> Result<PathBuf> {
    if let Some(given) = &arguments.segue {
        return given.canonicalize().with_context(|| format!("find {}", given.display()));
    }
    let release = target.join("release/segue");
    let optimised = release.exists();
    if !arguments.report {
        let mut build = cargo(repository);
        build.args(["build", "--workspace", "--bins"]);
        if optimised {
            build.arg("--release");
        }
        if !steps.openly("build", &mut build)? {
            bail!("the program does not build");
        }
    }
    Ok(if optimised { release } else { target.join("debug/segue") })
}
