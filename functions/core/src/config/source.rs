//! Where settings come from: the environment over a TOML file, and errors that name the culprit.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Names and values of environment variables.
#[derive(Debug, Clone, Default)]
pub struct Vars(Vec<(String, String)>);

/// Why the settings can't be used; one line that names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct SettingsError {
    variable: String,
    problem: String,
}

const PREFIX: &str = "HALLPASS_";

impl Vars {
    /// This process's environment. What is not UTF-8 in a value is replaced; no setting can hold it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the environment")]
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
                .collect(),
        )
    }

    /// Takes one variable out, such as `HALLPASS_CONFIG`, which is no setting itself.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(candidate, _)| candidate == name)?;
        Some(self.0.swap_remove(index).1)
    }

    fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let ours = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())));
        ours.filter(|(name, value)| !is_service_link(name, value))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Vars {
    fn from(vars: [(&str, &str); N]) -> Self {
        Self(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// What Kubernetes puts into every pod beside Services called `hallpass`, `hallpass-metrics` and so on:
/// `HALLPASS_SERVICE_HOST`, `HALLPASS_METRICS_SERVICE_PORT_HTTP`, `HALLPASS_PORT=tcp://10.0.0.1:80`,
/// `HALLPASS_PORT_80_TCP_ADDR`.
fn is_service_link(name: &str, value: &str) -> bool {
    let name = format!("_{name}");
    let is_port_of = |protocol: &str| {
        name.split_once("_PORT_").is_some_and(|(_, rest)| {
            let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            after_digits.len() < rest.len() && after_digits.starts_with(protocol)
        })
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && value.contains("://"))
        || ["_TCP", "_UDP", "_SCTP"].into_iter().any(is_port_of)
}

impl SettingsError {
    /// About the setting at `path`, such as `session.idle`.
    pub(super) fn new(path: &str, problem: impl Into<String>) -> Self {
        let variable = if path.is_empty() || path == "." { "settings".to_owned() } else { one_line(&variable(path)) };
        Self { variable, problem: one_line(&problem.into()) }
    }
}

pub(super) fn read<T: DeserializeOwned>(vars: &Vars, file: Option<&str>) -> Result<T, SettingsError> {
    let mut table: Table = match file {
        Some(text) => text.parse().map_err(|error: toml::de::Error| SettingsError {
            variable: "HALLPASS_CONFIG".to_owned(),
            problem: one_line(error.message()),
        })?,
        None => Table::new(),
    };
    for (name, value) in vars.settings() {
        let path: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
        if name.is_empty() || name.chars().any(|c| c.is_ascii_lowercase()) || !insert(&mut table, &path, value) {
            let variable = one_line(&format!("{PREFIX}{name}"));
            return Err(SettingsError { variable, problem: "no such setting".to_owned() });
        }
    }
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        match error.inner().message() {
            unknown if unknown.starts_with("unknown field") => SettingsError::new(&path, "no such setting"),
            problem => SettingsError::new(&path, problem),
        }
    })
}

/// Puts `value` where `path` leads; `false` if it leads through something that is no table.
fn insert(table: &mut Table, path: &[String], value: &str) -> bool {
    match path {
        [] => false,
        [name] => {
            table.insert(name.clone(), Value::String(value.to_owned()));
            true
        }
        [name, rest @ ..] => {
            match table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut() {
                Some(inner) => insert(inner, rest, value),
                None => false,
            }
        }
    }
}

/// `session.idle` as the variable that sets it.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// On one line, without what would move a terminal's cursor or change its colours.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "\u{fffd}")
}
