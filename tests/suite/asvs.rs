//! `tests/asvs.csv` joins the requirements of levels 1 and 2 of OWASP's ASVS 5.0.0 that can be argued about here to what shows
//! them.
//!
//! No field holds a comma or a quotation mark, so a line splits at its commas. A proof is a list of tests and paths,
//! with spaces between them. After a path may come `:` and a text that the file holds, `:!` and one that it doesn't, or
//! `#` and one of its headings, with `~` for each space. What a requirement asks for is in OWASP's own document.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{docs, sources};

const LIST: &str = include_str!("../asvs.csv");
/// Tests that no break of ours turns red: one shows a library alone, and two need functions, which runs of breaks don't have.
const UNBROKEN: [&str; 3] = [
    "the_argon2id_vector_of_rfc_9106_passes",
    "every_grant_of_the_template_is_used",
    "the_keys_are_made_once_never_overwritten_and_read_at_the_start",
];
const STATUSES: [&str; 4] = ["met", "deployment", "not-applicable", "not-met"];

struct Row {
    id: &'static str,
    level: &'static str,
    status: &'static str,
    proof: &'static str,
    note: &'static str,
}

impl Row {
    /// The tests that it names, or the paths.
    fn proofs(&self, are_paths: bool) -> impl Iterator<Item = &'static str> {
        self.proof.split(' ').filter(move |name| !name.is_empty() && name.contains(['/', '.']) == are_paths)
    }
}

fn rows() -> Vec<Row> {
    let (head, lines) = LIST.split_once('\n').unwrap();
    assert_eq!(head, "id,level,status,proof,note");
    let row = |line: &'static str| {
        assert!(!line.contains('"'), "{line}");
        let [id, level, status, proof, note] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        Row { id, level, status, proof, note }
    };
    lines.lines().map(row).collect()
}

#[test]
fn each_of_the_180_requirements_is_listed_once_with_a_status() {
    let rows = rows();
    let of_level = |level: &str| rows.iter().filter(|row| row.level == level).count();
    assert_eq!((of_level("1"), of_level("2"), rows.len()), (57, 123, 180));
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), rows.len());
    for row in &rows {
        let numbers: Vec<&str> = row.id.strip_prefix('V').unwrap().split('.').collect();
        assert!(numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u8>().is_ok()), "{}", row.id);
        assert!(STATUSES.contains(&row.status), "{}: {}", row.id, row.status);
    }
}

#[test]
fn what_is_met_has_a_proof_and_what_is_not_has_a_reason() {
    for row in rows() {
        let needed = if matches!(row.status, "met" | "deployment") { row.proof } else { row.note };
        assert!(!needed.is_empty(), "{}", row.id);
    }
}

#[test]
fn every_test_that_the_list_names_is_one() {
    let tests = sources::tests();
    let mut named = 0;
    for row in rows() {
        for name in row.proofs(false) {
            assert!(tests.contains(name), "{}: no test is called {name}", row.id);
            named += 1;
        }
    }
    assert!(named > 200, "{named}");
}

#[test]
fn the_guard_of_every_requirement_that_tests_show_is_broken_once() {
    let red = docs::red();
    for row in rows().iter().filter(|row| matches!(row.status, "met" | "deployment")) {
        for test in row.proofs(false) {
            let is_broken = red.contains(test);
            assert_ne!(is_broken, UNBROKEN.contains(&test), "{}: does a break turn {test} red?", row.id);
        }
    }
}

#[test]
fn every_file_that_the_list_names_holds_what_it_is_named_for() {
    let mut named = 0;
    for row in rows() {
        for name in row.proofs(true) {
            assert!(is_held(name), "{}: {name}", row.id);
            named += 1;
        }
    }
    assert!(named > 80, "{named}");
}

#[test]
fn a_text_is_missing_only_from_a_file_that_is_there() {
    let script = "functions/core/assets/script.js";
    assert!(is_held(&format!("{script}:!sessionStorage")));
    for name in [&format!("{script}:!PAGESHOW"), &format!("{script}:!"), "functions/core/assets/nowhere.js:!paste"] {
        assert!(!is_held(name), "{name}");
    }
}

fn is_held(name: &str) -> bool {
    let (path, sought) = name.find([':', '#']).map_or((name, ""), |at| name.split_at(at));
    let Ok(text) = fs::read_to_string(sources::root().join(path)) else {
        return false;
    };
    let sought = sought.replace('~', " ");
    if let Some(words) = sought.strip_prefix(":!") {
        !words.is_empty() && !text.to_lowercase().contains(&words.to_lowercase())
    } else if let Some(words) = sought.strip_prefix(':') {
        !words.is_empty() && text.contains(words)
    } else if let Some(heading) = sought.strip_prefix('#') {
        text.lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == heading)
    } else {
        true
    }
}

#[test]
fn security_md_has_the_counts_and_everything_that_is_not_met() {
    let security = sources::text("SECURITY.md");
    let (_, section) = security.split_once("\n## ASVS 5.0\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows() {
        *counts.entry(row.status).or_default() += 1;
    }
    for status in STATUSES {
        assert!(section.contains(&format!("| {status} | {} |\n", counts[status])), "{status}: {counts:?}");
    }
    let told: Vec<&str> = section.lines().filter(|line| line.starts_with("- V")).collect();
    let not_met = rows().into_iter().filter(|row| row.status == "not-met");
    let expected: Vec<String> = not_met.map(|row| format!("- {}: {}", row.id, row.note)).collect();
    assert_eq!(told, expected);
}
