//! Explores every scenario within the larger bounds and prints what was seen (`cargo xtask model`).
//! Never here: the scenarios.

use std::num::NonZero;
use std::process::ExitCode;
use std::time::Instant;

use segue_model::{Size, all, breakages, counterexample, explore};

fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let small = options.iter().any(|option| option == "--small");
    let size = if small { Size::Small } else { Size::Large };
    let asked = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part));
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let begin = Instant::now();
    let (mut states, mut transitions, mut failed) = (0, 0, 0);
    for scenario in all(size).into_iter().filter(|scenario| asked(scenario.name)) {
        let report = explore(&scenario, threads);
        states += report.states;
        transitions += report.transitions;
        println!(
            "{:<36} {:>10} states {:>11} transitions  depth {:>3}  {:>6.1} s",
            scenario.name,
            report.states,
            report.transitions,
            report.depth,
            report.took.as_secs_f64()
        );
        for (property, _) in report.properties.iter().filter(|(_, holds)| !holds) {
            failed += 1;
            println!("    DOES NOT HOLD: {property}");
        }
        if !report.holds()
            && let Some(found) = counterexample(&scenario)
        {
            println!("    {} ({} steps)\n{}", found.property, found.steps, found.trace);
        }
    }
    println!("\nbroken on purpose:");
    for scenario in breakages(size).into_iter().filter(|scenario| asked(scenario.name)) {
        let Some(found) = counterexample(&scenario) else {
            failed += 1;
            println!("    NOT NOTICED: {:?} in \"{}\"", scenario.broken, scenario.name);
            continue;
        };
        println!(
            "    {:<28} violates \"{}\" after {} steps",
            format!("{:?}", scenario.broken),
            found.property,
            found.steps
        );
    }
    println!(
        "\n{states} states, {transitions} transitions, {:.0} s",
        begin.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
