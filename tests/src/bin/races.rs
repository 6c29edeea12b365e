//! Races by the thousand, each history by a seed of its own. `cargo run --bin races -- --races 100000`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use clap::Parser;
use hallpass_tests::histories::{self, Tally, Theme, Violation};
use tokio::task::JoinSet;

/// Runs random histories of many clients of one account over three instances, and looks for an order that explains what
/// they were told.
#[derive(Parser)]
struct Options {
    /// How many races at least: histories are begun until there are as many.
    #[arg(long, default_value_t = 10_000)]
    races: usize,
    /// Steps of one history, nearly all of them races, each of which goes on where the one before ended.
    #[arg(long, default_value_t = 25)]
    length: usize,
    /// Seed of the first history; each further one has the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Histories at a time.
    #[arg(long, default_value_t = 4)]
    workers: usize,
}

/// How far all workers together are.
#[derive(Default)]
struct Progress {
    histories: AtomicU64,
    races: AtomicUsize,
}

type Outcome = Result<Tally, Box<Violation>>;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let progress = Arc::new(Progress::default());
    #[expect(clippy::disallowed_methods, reason = "how long it takes is told")]
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..options.workers.max(1) {
        workers.spawn(work(Arc::clone(&progress), options.races, options.seed, options.length.max(1)));
    }
    let mut total = Tally::default();
    while let Some(outcome) = workers.join_next().await {
        match outcome {
            Ok(Ok(tally)) => total += tally,
            Ok(Err(violation)) => {
                eprintln!("no order explains what was told: {violation:#?}");
                eprintln!(
                    "again: cargo run --bin races -- --races 1 --workers 1 --length {} --seed {}",
                    options.length, violation.seed
                );
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if total.races() == 0 {
        eprintln!("races run over the embedded store, in this process");
        return ExitCode::FAILURE;
    }
    println!("{}, in {} s", summary(&total), started.elapsed().as_secs());
    ExitCode::SUCCESS
}

fn summary(total: &Tally) -> String {
    let themes: Vec<String> = Theme::ALL.iter().map(|theme| format!("{theme} {}", total.of(*theme))).collect();
    format!(
        "{} races ({}) of {} requests, and {} questions one by one: no violation; at most {} states explained one",
        total.races(),
        themes.join(", "),
        total.requests,
        total.questions,
        total.explanations
    )
}

/// Runs histories until there were as many races.
async fn work(progress: Arc<Progress>, races: usize, seed: u64, length: usize) -> Outcome {
    let mut total = Tally::default();
    // Over another store nobody sees who writes, so nothing is remembered.
    let Some(instances) = histories::instances().await else { return Ok(total) };
    while progress.races.load(Ordering::SeqCst) < races {
        let number = progress.histories.fetch_add(1, Ordering::SeqCst);
        let tally = histories::run(&instances, seed + number, length).await?;
        let raced = progress.races.fetch_add(tally.races(), Ordering::SeqCst) + tally.races();
        if number > 0 && number.is_multiple_of(100) {
            eprintln!("{raced} of {races} races");
        }
        total += tally;
    }
    Ok(total)
}
