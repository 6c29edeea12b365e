//! What Hallpass promises, claim by claim, through its public doors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod answers;
mod asvs;
mod authorizer;
mod clocks;
mod credentials;
mod damage;
mod docs;
mod doors;
mod failures;
mod faults;
mod floods;
mod forms;
mod functions;
mod guard;
mod guessing;
mod histories;
mod input;
mod keys;
mod limits;
mod login;
mod orders;
mod origin;
mod pages;
mod races;
mod recovery;
mod registration;
mod remembered;
mod second_step;
mod secrets;
mod sessions;
mod shell;
mod side_doors;
mod sources;
mod trips;
mod waits;
