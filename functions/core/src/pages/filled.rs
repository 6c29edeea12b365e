//! What a form came with that may be shown again when it is refused, and whose session it came with. Never a secret.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::{
    http::{body::Secret, reply::local_path},
    sessions::session::Session,
};

/// Travels with a request that may be answered by a page; whoever reads its body or its session notes it here.
#[derive(Clone, Default)]
pub(crate) struct Filled(Arc<Noted>);

#[derive(Default)]
struct Noted {
    fields: OnceLock<Fields>,
    session: OnceLock<Session>,
}

/// What people would not like to type again.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    pub(super) username: String,
    pub(super) email: String,
    next: String,
    recovery_code: Option<Secret>,
}

impl Filled {
    /// Notes the fields of a form.
    pub(crate) fn note_fields(&self, form: &[u8]) {
        if let Ok(fields) = serde_html_form::from_bytes(form) {
            let _ = self.0.fields.set(fields);
        }
    }

    /// Notes the session.
    pub(crate) fn note_session(&self, session: &Session) {
        let _ = self.0.session.set(session.clone());
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.0.session.get()
    }

    pub(super) fn fields(&self) -> &Fields {
        self.0.fields.get_or_init(Fields::default)
    }
}

impl Fields {
    pub(super) fn next(&self) -> Option<&str> {
        local_path(&self.next)
    }

    pub(super) fn has_recovery_code(&self) -> bool {
        self.recovery_code.as_ref().is_some_and(|code| !code.reveal().is_empty())
    }
}
