//! Many clients of one account at once, over several instances: does some order of what they asked explain what all of
//! them were told?
//!
//! A history is a row of races. A race is a few requests sent at once; what each was told is compared with a model that
//! does one thing after the other ([`model`]), in every order ([`search`]). What may be true after one race is where the
//! next begins, so a session that was over must stay over, and a code that was used stays used.

pub mod model;
pub mod search;

mod draw;
mod players;

use fastrand::Rng;

pub use self::players::{LIMIT, instances};
use self::{draw::Hand, model::Model, players::Players, search::Asked};
use crate::World;

/// What one history came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Races run.
    pub races: usize,
    /// Requests in them.
    pub requests: usize,
    /// States of the model that explained a race at its end, at most.
    pub explanations: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.races += other.races;
        self.requests += other.requests;
        self.explanations = self.explanations.max(other.explanations);
    }
}

/// What no order explains.
#[derive(Debug)]
pub struct Violation {
    /// Draws the same history again.
    pub seed: u64,
    /// Counted from 0.
    pub race: usize,
    /// What was asked, and what was told.
    pub asked: Vec<Asked>,
    /// What the model took to be true before it.
    pub before: Vec<Model>,
}

/// Runs one history of so many races over these instances.
///
/// # Errors
/// [`Violation`].
pub async fn run(instances: &[World], seed: u64, races: usize) -> Result<Tally, Box<Violation>> {
    let mut rng = Rng::with_seed(seed);
    let mut players = Players::gather(instances).await;
    let mut explained = vec![players.model()];
    let mut tally = Tally::default();
    let mut hand = Hand::default();
    for race in 0..races + EPILOGUE {
        if race < races {
            players.world().pass(*rng.choice(&[0, 0, 1, 5, 30, 60]).unwrap_or(&0));
        }
        let drawn = match race < races {
            true => hand.draw(&mut rng, &explained[0], players.world().now().as_second()),
            // Whoever was ever let in is asked once more, one after the other.
            false => hand.ask_again(race - races),
        };
        if drawn.is_empty() {
            continue;
        }
        let asked = players.race(&mut rng, drawn).await;
        let now = players.world().now().as_second();
        let after = search::explanations(&explained, &asked, now);
        if after.is_empty() {
            return Err(Box::new(Violation { seed, race, asked, before: explained }));
        }
        tally += Tally { races: usize::from(race < races), requests: asked.len(), explanations: after.len() };
        explained = after;
    }
    Ok(tally)
}

/// Single questions at the end of a history: more than it can have labels of.
const EPILOGUE: usize = 200;
