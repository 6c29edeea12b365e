//! Whether the time of a refused login tells if somebody has the name (attack 5.21). `cargo run --release --bin timing`
//!
//! Wrong passwords at names that exist and at names that nobody has, in random order, one at a time, at the real cost of a
//! hash or at next to none (`--cheap`), where all else shows. Ends with an error where medians or minima differ by more
//! than the bound.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a command for people, over the tests' own world")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use fastrand::Rng;
use hallpass_core::config::{Settings, Vars};
use hallpass_tests::{World, world::fresh_name};

/// Times refused logins.
#[derive(Parser)]
struct Options {
    /// Samples of each kind
    #[arg(long, default_value_t = 10_000)]
    samples: usize,
    /// Hash at next to no cost, to see what else takes time
    #[arg(long)]
    cheap: bool,
    /// Of the order
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Fewer than an account's lane admits before a wait.
const GUESSES_PER_NAME: usize = 5;
/// Of medians, and of minima.
const DIFFERENCE_MAX: Duration = Duration::from_micros(50);

#[derive(Clone, Copy)]
enum Name {
    Taken,
    Free,
}

#[derive(Default)]
struct Times {
    taken: Vec<Duration>,
    free: Vec<Duration>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Options { samples, cheap, seed } = Options::parse();
    let world = match cheap {
        true => World::new().await,
        false => World::of(Settings::read(&Vars::from([]), None).unwrap()).await,
    };
    let mut guesses = Vec::with_capacity(2 * samples);
    for _ in 0..samples.div_ceil(GUESSES_PER_NAME) {
        let (taken, _) = world.somebody().await;
        guesses.extend(vec![(Name::Taken, taken); GUESSES_PER_NAME]);
        guesses.extend(vec![(Name::Free, fresh_name()); GUESSES_PER_NAME]);
    }
    Rng::with_seed(seed).shuffle(&mut guesses);
    let mut times = Times::default();
    for (kind, name) in guesses {
        let time = refused_login(&world, &name).await;
        match kind {
            Name::Taken => times.taken.push(time),
            Name::Free => times.free.push(time),
        }
    }
    verdict(times)
}

async fn refused_login(world: &World, name: &str) -> Duration {
    let mut browser = world.browser();
    #[expect(clippy::disallowed_methods, reason = "the time that really passes is the point")]
    let started = Instant::now();
    let answer = browser.log_in_with(name, "not the password").await;
    let time = started.elapsed();
    answer.expect_problem(401, "invalid-credentials");
    time
}

fn verdict(Times { mut taken, mut free }: Times) -> ExitCode {
    taken.sort();
    free.sort();
    println!("{} refused logins at names that exist, {} at names that nobody has\n", taken.len(), free.len());
    println!("| | exists, µs | nobody has it, µs | difference, µs |\n|---|---:|---:|---:|");
    let shares = [("minimum", 0), ("lower quartile", 25), ("median", 50), ("upper quartile", 75), ("p99", 99)];
    let mut is_told = false;
    for (label, percent) in shares {
        let at = |times: &[Duration]| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        let (taken, free) = (at(&taken), at(&free));
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        println!("| {label} | {:.1} | {:.1} | {:.1} |", micros(taken), micros(free), micros(taken) - micros(free));
        is_told |= ["minimum", "median"].contains(&label) && taken.abs_diff(free) > DIFFERENCE_MAX;
    }
    println!("\nThe bound of medians and minima is {DIFFERENCE_MAX:?}.");
    ExitCode::from(u8::from(is_told))
}
