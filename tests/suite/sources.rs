//! The project's own files, which documents and lists speak of.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Where the project lies.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A file of the project.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every Rust source of these folders, end to end.
pub(crate) fn rust(folders: &[&str]) -> String {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut sources = String::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    sources
}

/// Every route that these folders add by hand, such as `POST /language`, in order. Whatever else would route is refused, but
/// for `routes!`, whose routes are in the OpenAPI document by that.
pub(crate) fn routes(folders: &[&str]) -> Vec<String> {
    let sources = rust(folders);
    for other in [".nest(", ".nest_service(", ".route_service(", ".fallback_service("] {
        assert!(!sources.contains(other), "{other}");
    }
    let added: Vec<&str> = sources.split(".routes(").skip(1).collect();
    assert!(added.len() > 10 && added.iter().all(|rest| rest.starts_with("routes!(")), "{added:?}");
    let mut routes: Vec<String> = sources.split(".route(").skip(1).map(route).collect();
    routes.sort();
    routes
}

/// The method and path of what comes after `.route(`; a path that is no text goes by its name.
fn route(call: &str) -> String {
    let (path, handler) = call.split_once(", ").unwrap();
    let (method, handler) = handler.split_once('(').unwrap();
    // Another method behind it would go unseen.
    assert!(behind_closing(handler).starts_with(')'), "{path}: {handler:.40}");
    format!("{} {}", method.to_uppercase(), path.trim().trim_matches('"'))
}

/// What comes after the parenthesis that closes what `text` begins in.
fn behind_closing(text: &str) -> &str {
    let mut open = 1;
    let closing = text.find(|c| {
        open += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        open == 0
    });
    closing.and_then(|closing| text.get(closing + 1..)).unwrap_or_default()
}

/// The names of all functions that are marked as tests. No two have one name: a proof that names it would outlive one of
/// them.
pub(crate) fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut is_marked = false;
    for line in rust(&["functions", "container", "tests"]).lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_marked = true;
            continue;
        }
        // Other attributes, comments and empty lines may stand between the mark and the function.
        if line.is_empty() || line.starts_with("#[") || line.starts_with("//") {
            continue;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some((name, _)) = function.filter(|_| is_marked).and_then(|function| function.split_once('(')) {
            assert!(tests.insert(name.to_owned()), "two tests are called {name}");
        }
        is_marked = false;
    }
    tests
}
