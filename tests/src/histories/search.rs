//! Which orders explain what was told.

use std::collections::{BTreeSet, HashMap};

use super::{
    model::{Model, Overtaken, Turn},
    request::{Label, Request, Told},
};

/// One request of a race.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What was asked.
    pub request: Request,
    /// What was told.
    pub told: Told,
    /// The label of what it made, if it made something.
    pub made: Label,
}

/// How far a request is: not begun, past the look at its session, done.
type Progress = Vec<u8>;
const DONE: u8 = 2;

/// Everything that may be true after these requests at once; empty if nothing can be.
///
/// A request that needs a session looks at it first and acts later, so it has two places in an order; every other has
/// one, where its conditional write commits or its read is served.
#[must_use]
pub fn explanations(before: &[Model], asked: &[Asked], now: i64) -> Vec<Model> {
    let start: Progress = vec![0; asked.len()];
    let mut reached: HashMap<Progress, BTreeSet<Model>> = HashMap::new();
    reached.insert(start.clone(), before.iter().cloned().collect());
    let mut open = vec![start];
    // By how much is done, so that all that leads somewhere is known before it is left.
    while let Some(at) = open.iter().min_by_key(|at| at.iter().map(|step| u32::from(*step)).sum::<u32>()).cloned() {
        open.retain(|other| *other != at);
        let models = reached.remove(&at).unwrap_or_default();
        if at.iter().all(|step| *step == DONE) {
            return models.into_iter().collect();
        }
        for (place, request) in asked.iter().enumerate().filter(|(place, _)| at[*place] != DONE) {
            let (progress, after) = step(request, at[place], &models, overtaken(asked, place), now);
            if after.is_empty() {
                continue;
            }
            let mut next = at.clone();
            next[place] = progress;
            if !reached.contains_key(&next) {
                open.push(next.clone());
            }
            reached.entry(next).or_default().extend(after);
        }
    }
    Vec::new()
}

fn step(asked: &Asked, from: u8, models: &BTreeSet<Model>, overtaken: Overtaken, now: i64) -> (u8, Vec<Model>) {
    let Asked { request, told, made } = asked;
    match request.by().filter(|_| from == 0) {
        None => {
            let turn = Turn { told, made: *made, overtaken, now };
            (DONE, models.iter().filter_map(|model| model.after(*request, turn)).collect())
        }
        // Refused at the door, or later: nothing came of it either way.
        Some(session) if told.is(401, "session-required") => {
            (DONE, models.iter().filter(|model| !model.sessions.contains(&session)).cloned().collect())
        }
        Some(session) => (1, models.iter().filter(|model| model.sessions.contains(&session)).cloned().collect()),
    }
}

fn overtaken(asked: &[Asked], place: usize) -> Overtaken {
    let others = asked.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, asked)| asked);
    let done: Vec<Request> = others.filter(|asked| asked.told.is_success()).map(|asked| asked.request).collect();
    Overtaken {
        factor: done.iter().any(|request| request.changes_factor()),
        enrolment: done.iter().any(|request| request.changes_enrolment()),
    }
}
