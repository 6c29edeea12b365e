//! What a form that was refused says of it.

use super::{form::Form, words::Words};
use crate::http::{
    problem::{FieldError, Kind, Problem},
    reason::Reason,
};

/// What went wrong with one form.
pub(super) struct Trouble {
    form: Form,
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    /// Seconds until a retry is worth it, as a number and as people say it.
    pub(super) retry_after: Option<(i64, String)>,
    /// Fields that no input of the form stands for, with what is wrong with them.
    pub(super) strangers: Vec<(String, String)>,
    fields: Vec<(String, String)>,
}

/// What is marked in one form: what went wrong, or nothing.
pub(super) struct Marks<'a>(Option<&'a Trouble>);

impl Trouble {
    pub(super) fn new(problem: &Problem, form: Form, words: &Words) -> Self {
        let (title, text) = match (problem.kind(), form) {
            (Kind::InvalidCredentials, Form::Password | Form::SetUp | Form::TurnOff | Form::RecoveryCodes) => {
                words.wrong_password
            }
            (Kind::InvalidInput, _) => ((words.problem)(Kind::InvalidInput).0, words.check_fields),
            (kind, _) => (words.problem)(kind),
        };
        let (strangers, fields) = problem.errors().iter().partition::<Vec<&FieldError>, _>(|error| is_strange(error));
        let told = |errors: Vec<&FieldError>| {
            errors.into_iter().map(|error| (error.field.clone(), (words.reason)(error.reason))).collect()
        };
        let retry_after = problem.retry_after_seconds().map(|seconds| (seconds, (words.duration)(seconds)));
        Self { form, title, text, retry_after, strangers: told(strangers), fields: told(fields) }
    }

    /// What is marked in `form`.
    pub(super) fn at(trouble: Option<&Self>, form: Form) -> Marks<'_> {
        Marks(trouble.filter(|trouble| trouble.form == form))
    }
}

impl<'a> Marks<'a> {
    /// What is wrong with the whole.
    pub(super) fn trouble(&self) -> Option<&'a Trouble> {
        self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What is wrong with a field; empty for nothing.
    pub(super) fn error(&self, field: &str) -> &'a str {
        let found = self.0.and_then(|trouble| trouble.fields.iter().find(|(name, _)| name == field));
        found.map_or("", |(_, error)| error.as_str())
    }
}

/// Whether the field is one that our pages don't send, or not in this way.
fn is_strange(error: &FieldError) -> bool {
    matches!(error.reason, Reason::Unknown | Reason::Repeated | Reason::WrongType | Reason::NoObject)
}
