//! Whether the time of a refused login tells if somebody has the name (attack 5.21). `cargo run --release --bin timing`
//!
//! Wrong passwords at names that exist and at names that nobody has, in pairs of one of each in random order, one at a time,
//! at the real cost of a hash or at next to none (`--cheap`), where all else shows. Ends with an error where the two differ
//! anywhere between their minima and their p99 by more than the bound, and by more than one in a thousand of the ways to
//! swap the times of pairs by chance: the minimum of thousands of hashes of 25 ms is mostly luck. Or where chance makes so
//! much of a difference at the median that nothing is shown.
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
/// Of whatever is compared.
const DIFFERENCE_MAX: Duration = Duration::from_micros(50);

/// What is compared: how many percent of a kind's times are shorter.
const SHARES: [(&str, usize); 6] =
    [("minimum", 0), ("p1", 1), ("lower quartile", 25), ("median", 50), ("upper quartile", 75), ("p99", 99)];
/// The share at which chance must make less of a difference than that, or nothing is shown.
const JUDGED_PERCENT: usize = 50;
/// Ways to swap times by chance, all but one of which make less of a difference than what is told.
const SWAPS: usize = 1_000;

/// How long it took at a name that exists and, just before or after, at one that nobody has.
type Pair = (Duration, Duration);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Options { samples, cheap, seed } = Options::parse();
    let world = match cheap {
        true => World::new().await,
        false => World::of(Settings::read(&Vars::from([]), None).unwrap()).await,
    };
    let (mut taken, mut free) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    for _ in 0..samples.div_ceil(GUESSES_PER_NAME) {
        taken.extend(vec![world.somebody().await.0; GUESSES_PER_NAME]);
        free.extend(vec![fresh_name(); GUESSES_PER_NAME]);
    }
    let mut rng = Rng::with_seed(seed);
    rng.shuffle(&mut taken);
    rng.shuffle(&mut free);
    let mut pairs = Vec::with_capacity(taken.len());
    for (taken, free) in taken.iter().zip(&free) {
        pairs.push(match rng.bool() {
            true => (refused_login(&world, taken).await, refused_login(&world, free).await),
            false => swapped((refused_login(&world, free).await, refused_login(&world, taken).await)),
        });
    }
    verdict(&mut rng, &pairs)
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

fn swapped((one, other): Pair) -> Pair {
    (other, one)
}

fn verdict(rng: &mut Rng, pairs: &[Pair]) -> ExitCode {
    println!("{} refused logins, half of them at names that exist\n", 2 * pairs.len());
    println!("| | exists, µs | nobody has it, µs | difference, µs | by chance, µs |\n|---|---:|---:|---:|---:|");
    let chance = differences_by_chance(rng, pairs);
    let (mut is_told, mut is_noise) = (false, false);
    for (((label, percent), (taken, free)), chance) in SHARES.iter().zip(quantiles(pairs)).zip(chance) {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let (taken_us, free_us) = (micros(taken), micros(free));
        println!("| {label} | {taken_us:.1} | {free_us:.1} | {:.1} | {:.1} |", taken_us - free_us, micros(chance));
        is_told |= taken.abs_diff(free) > chance.max(DIFFERENCE_MAX);
        is_noise |= *percent == JUDGED_PERCENT && chance > DIFFERENCE_MAX;
    }
    println!("\nA difference tells something where it is above {DIFFERENCE_MAX:?} and above what chance makes.");
    if is_noise {
        println!("Chance alone makes more of a difference at the median: nothing is shown, take more samples.");
    }
    ExitCode::from(u8::from(is_told || is_noise))
}

/// Of each share, the times of both kinds: of names that exist, and of those that nobody has.
fn quantiles(pairs: &[Pair]) -> [Pair; SHARES.len()] {
    let (mut taken, mut free): (Vec<Duration>, Vec<Duration>) = pairs.iter().copied().unzip();
    taken.sort_unstable();
    free.sort_unstable();
    let at = |times: &[Duration], percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    SHARES.map(|(_, percent)| (at(&taken, percent), at(&free, percent)))
}

/// Of each share, the greatest difference of all but one of the ways to swap times within pairs.
fn differences_by_chance(rng: &mut Rng, pairs: &[Pair]) -> [Duration; SHARES.len()] {
    let mut differences = [const { Vec::new() }; SHARES.len()];
    for _ in 0..SWAPS {
        let dealt: Vec<Pair> = pairs.iter().map(|pair| if rng.bool() { *pair } else { swapped(*pair) }).collect();
        for (differences, (taken, free)) in differences.iter_mut().zip(quantiles(&dealt)) {
            differences.push(taken.abs_diff(free));
        }
    }
    differences.map(|mut differences| {
        differences.sort_unstable();
        differences.get(SWAPS - 2).copied().unwrap_or_default()
    })
}
