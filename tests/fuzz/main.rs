//! What anybody may send, drawn at random: nothing panics, nothing is read in two ways, nothing gets past its rule.
//! `PROPTEST_CASES=100000 cargo test --workspace --test fuzz -- --nocapture` draws more, and says of each property how
//! many cases there were; a failure prints the least input that shows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

/// Tests that hold for whatever is drawn, and say at their end what they did. Each tells its trial what it accepted.
macro_rules! properties {
    (
        $config:expr, $trial:ident;
        $(#[test] fn $name:ident($($drawn:pat in $strategy:expr),+ $(,)?) $claim:block)+
    ) => {$(
        #[test]
        fn $name() {
            let $trial = $crate::trial::Trial::begin(stringify!($name));
            proptest::proptest!($config, |($($drawn in $strategy),+)| {
                $trial.count();
                $claim
            });
            $trial.end();
        }
    )+};
}

mod credentials;
mod demands;
mod embedded;
mod events;
mod headers;
mod items;
mod origins;
mod pages;
mod paths;
mod refusals;
mod requests;
mod revisions;
mod sealed;
mod served;
mod settings;
mod stack;
mod stored;
mod trial;

use proptest::{prelude::*, sample::select, test_runner::Config};

/// As many cases as `PROPTEST_CASES` says.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

/// A quarter of the cases where each is a request, unless `PROPTEST_CASES` says how many.
fn config_for_requests() -> Config {
    let config = config();
    Config { cases: config.cases.div_ceil(4), ..config }
}

/// Text of pieces that mean something and of anything.
fn text_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(pieces).prop_map(str::to_owned),
        2 => "[ -~]{0,6}",
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What is whole, as it is or with pieces put in at places of it, besides text of such pieces alone.
fn near(whole: impl Strategy<Value = String>, pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..4_usize, text_of(pieces));
    let edits = prop_oneof![2 => Just(vec![]), 2 => proptest::collection::vec(edit, 1..3)];
    let edited = (whole, edits).prop_map(|(whole, edits)| {
        edits.into_iter().fold(whole, |text, (place, length, piece)| {
            replaced(&text, place.index(text.chars().count() + 1), length, &piece)
        })
    });
    prop_oneof![2 => edited, 1 => text_of(pieces)]
}

/// The text with this piece in place of so many characters, or behind it where it has none there.
fn replaced(text: &str, start: usize, length: usize, piece: &str) -> String {
    let (before, after) = (text.chars().take(start), text.chars().skip(start + length));
    before.chain(piece.chars()).chain(after).collect()
}

/// Text of pieces in the bytes that a header may hold.
fn header_of(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    text_of(pieces).prop_map(in_header)
}

/// What of it a header may hold.
fn in_header(text: String) -> Vec<u8> {
    let is_allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 127);
    text.into_bytes().into_iter().filter(is_allowed).collect()
}

/// Pieces that are whole, with this between them.
fn list_of(pieces: &'static [&'static str], between: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(select(pieces), 0..4).prop_map(move |pieces| pieces.join(between))
}
