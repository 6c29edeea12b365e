//! Races by the thousand: histories, each by a seed of its own, or crowds. `cargo run --release --bin races -- --races 100000`
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
use hallpass_tests::{
    crowds::{self, Prize},
    histories::{self, Tally, Theme, Violation},
};
use tokio::task::JoinSet;

/// Runs random histories of many clients of one account over three instances, and looks for an order that explains what
/// they were told; or lets crowds want one thing, and counts who gets it.
#[derive(Parser)]
struct Options {
    /// How many races at least: histories are begun until there are as many. With `--width`, of each kind.
    #[arg(long, default_value_t = 10_000)]
    races: usize,
    /// No histories: as many clients as this want one code, recovery code, name, quota or guess.
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=crowds::WIDTH_MAX as i64))]
    width: Option<u16>,
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
    #[expect(clippy::disallowed_methods, reason = "how long it takes is told")]
    let started = Instant::now();
    let outcome = match options.width {
        Some(width) => crowds(options.races, width.into()).await,
        None => all_histories(&options).await,
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}, in {} s", started.elapsed().as_secs());
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

const NOT_EMBEDDED: &str = "races run over the embedded store, in this process";

async fn all_histories(options: &Options) -> Result<String, String> {
    let progress = Arc::new(Progress::default());
    let mut workers = JoinSet::new();
    for _ in 0..options.workers.max(1) {
        workers.spawn(work(Arc::clone(&progress), options.races, options.seed, options.length.max(1)));
    }
    let mut total = Tally::default();
    while let Some(outcome) = workers.join_next().await {
        total += outcome.map_err(|error| error.to_string())?.map_err(|violation| {
            format!(
                "no order explains what was told: {violation:#?}\n\
                 again: cargo run --bin races -- --races 1 --workers 1 --length {} --seed {}",
                options.length, violation.seed
            )
        })?;
    }
    if total.races() == 0 { Err(NOT_EMBEDDED.to_owned()) } else { Ok(summary(&total)) }
}

async fn crowds(races: usize, width: usize) -> Result<String, String> {
    let instances = histories::instances().await.ok_or(NOT_EMBEDDED)?;
    for race in 1..=races {
        for prize in Prize::ALL {
            let outcome = crowds::race(&instances, prize, width).await;
            if (outcome.won, outcome.refused) != (prize.number().min(width), width.saturating_sub(prize.number())) {
                return Err(format!("{width} for {prize}, of which there are {}: {outcome:?}", prize.number()));
            }
        }
        if race.is_multiple_of(10) {
            eprintln!("{race} of {races} races of each kind");
        }
    }
    let prizes: Vec<_> = Prize::ALL.iter().map(|prize| format!("{} for {prize}", prize.number())).collect();
    Ok(format!("{races} races of {width} at once of each kind ({}): no violation", prizes.join(", ")))
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
