//! The names of limits: those of our own functions, and those that settings give to policies for guarded APIs.

use std::{fmt, str::FromStr, sync::Arc};

use crate::config::{Function, by_text};

/// The name of a policy for guarded APIs: 1 to 32 lower-case letters, digits or `_`, a letter first, and none of our
/// functions' names. A cheap clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

/// What is charged. A cheap clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitName {
    /// The limit of a part of our API.
    Function(Function),
    /// A policy that settings name.
    Named(PolicyName),
}

/// Not the name of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a policy is 1 to 32 lower-case letters, digits or '_', a letter first, and no limit of Hallpass's own"
)]
pub struct PolicyNameError;

impl PolicyName {
    /// Names stand in keys, headers and metrics.
    pub const MAX_CHARS: usize = 32;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PolicyName {
    type Err = PolicyNameError;

    fn from_str(text: &str) -> Result<Self, PolicyNameError> {
        let is_name = (1..=Self::MAX_CHARS).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        // Or its counts would be those of the function.
        let is_ours = Function::ALL.iter().any(|function| function.name() == text);
        (is_name && !is_ours).then(|| Self(text.into())).ok_or(PolicyNameError)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

by_text!(PolicyName, LimitName);

impl LimitName {
    /// The name in keys, headers, metrics and log lines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Function(function) => function.name(),
            Self::Named(name) => name.as_str(),
        }
    }
}

impl FromStr for LimitName {
    type Err = PolicyNameError;

    fn from_str(text: &str) -> Result<Self, PolicyNameError> {
        match Function::ALL.iter().find(|function| function.name() == text) {
            Some(function) => Ok(Self::Function(*function)),
            None => text.parse().map(Self::Named),
        }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policys_name_is_a_word_that_no_function_has() {
        for name in ["orders", "a", "orders_v2", &"a".repeat(32)] {
            assert!(name.parse::<PolicyName>().is_ok(), "{name}");
        }
        for name in ["", "Orders", "2orders", "_x", "or ders", "or,ders", "or-ders", "login", "authz", "ordérs"] {
            assert!(name.parse::<PolicyName>().is_err(), "{name}");
        }
        assert!("a".repeat(33).parse::<PolicyName>().is_err());
    }

    #[test]
    fn a_limit_is_a_functions_or_a_policys() {
        assert_eq!("recovery-codes".parse(), Ok(LimitName::Function(Function::RecoveryCodes)));
        assert_eq!("orders".parse(), "orders".parse().map(LimitName::Named));
        assert_eq!("Orders".parse::<LimitName>(), Err(PolicyNameError));
    }
}
