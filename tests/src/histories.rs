//! Many clients of one account at once, over several instances: does some order of what they asked explain what all of
//! them were told?
//!
//! A history is a row of races. A race is a few requests sent at once; what each was told is compared with a model that
//! does one thing after the other ([`model`]), in every order ([`search`]). What may be true after one race is where the
//! next begins, so a session that was over must stay over, and a code that was used stays used.

pub mod model;
pub mod request;
pub mod search;

mod draw;
mod players;

use std::collections::BTreeMap;

use fastrand::Rng;

use self::{
    draw::Hand,
    model::Model,
    players::Players,
    request::{Label, Request},
    search::Asked,
};
pub use self::{
    draw::Theme,
    players::{INSTANCES, LIMIT, instances},
};
use crate::World;

/// What histories came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Races of each theme: two requests or more at once.
    pub themes: BTreeMap<Theme, usize>,
    /// Requests in them.
    pub requests: usize,
    /// Requests that were sent alone.
    pub questions: usize,
    /// States of the model that explained a race at its end, at most.
    pub explanations: usize,
}

impl Tally {
    /// Races of all themes.
    #[must_use]
    pub fn races(&self) -> usize {
        self.themes.values().sum()
    }

    /// Races of one theme.
    #[must_use]
    pub fn of(&self, theme: Theme) -> usize {
        self.themes.get(&theme).copied().unwrap_or(0)
    }

    fn count(&mut self, theme: Theme, requests: usize, explanations: usize) {
        if requests > 1 {
            *self.themes.entry(theme).or_default() += 1;
            self.requests += requests;
        } else {
            self.questions += requests;
        }
        self.explanations = self.explanations.max(explanations);
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (theme, races) in other.themes {
            *self.themes.entry(theme).or_default() += races;
        }
        self.requests += other.requests;
        self.questions += other.questions;
        self.explanations = self.explanations.max(other.explanations);
    }
}

/// What no order explains.
#[derive(Debug)]
pub struct Violation {
    /// Draws the same beginning again: what is drawn later depends on who won the races before.
    pub seed: u64,
    /// Which step of it, counted from 0.
    pub step: usize,
    /// What was asked, and what was told.
    pub asked: Vec<Asked>,
    /// What the model took to be true before it.
    pub before: Vec<Model>,
}

/// Runs one history of so many steps, nearly all of them races, over these instances.
///
/// # Errors
/// [`Violation`].
pub async fn run(instances: &[World], seed: u64, steps: usize) -> Result<Tally, Box<Violation>> {
    let mut history = History::begin(instances, seed).await;
    for _ in 0..steps {
        history.pass();
        let (theme, drawn) = history.hand.draw(&mut history.rng, &history.explained[0], history.players.now());
        history.ask(theme, drawn).await?;
    }
    // Whoever was ever let in is asked once more, one after the other.
    for question in history.hand.everyone() {
        history.ask(Theme::Sessions, vec![question]).await?;
    }
    Ok(history.tally)
}

struct History<'a> {
    seed: u64,
    rng: Rng,
    players: Players<'a>,
    hand: Hand,
    explained: Vec<Model>,
    tally: Tally,
    step: usize,
}

impl<'a> History<'a> {
    async fn begin(instances: &'a [World], seed: u64) -> Self {
        let players = Players::gather(instances).await;
        let (rng, explained) = (Rng::with_seed(seed), vec![players.model()]);
        Self { seed, rng, players, hand: Hand::new(), explained, tally: Tally::default(), step: 0 }
    }

    fn pass(&mut self) {
        self.players.world().pass(*self.rng.choice(&[0, 0, 1, 5, 30, 60]).unwrap_or(&0));
    }

    /// Asks all of it at once, and looks for what explains the answers.
    async fn ask(&mut self, theme: Theme, drawn: Vec<(Request, Label)>) -> Result<(), Box<Violation>> {
        let asked = self.players.race(&mut self.rng, drawn).await;
        let after = search::explanations(&self.explained, &asked, self.players.now());
        if after.is_empty() {
            let (seed, step, before) = (self.seed, self.step, std::mem::take(&mut self.explained));
            return Err(Box::new(Violation { seed, step, asked, before }));
        }
        self.hand.heed(&asked);
        self.tally.count(theme, asked.len(), after.len());
        self.explained = after;
        self.step += 1;
        Ok(())
    }
}
