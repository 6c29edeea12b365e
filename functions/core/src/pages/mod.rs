//! The pages for people: rendered on the server, whole without any script, in the reader's language.
//!
//! They are here and not in the `pages` function because every function that takes a form shows that form again when it
//! refuses it. What a page says is in `words/`, what it looks like in `templates/` and `assets/`; a handler names the
//! page and hands over what stands on it. Rendering never asks the store.

mod accent;
mod account;
pub mod assets;
mod device;
mod entrance;
mod filled;
mod form;
mod language;
pub mod notice;
pub(crate) mod refusal;
mod second_step;
mod trouble;
pub mod visit;
mod words;

use std::sync::Arc;

use axum::http::HeaderValue;

use self::assets::Assets;
use crate::config::Settings;

pub(crate) use self::filled::Filled;
pub use self::{language::Language, second_step::SetUp};

/// What all pages of one process have in common. A cheap clone.
#[derive(Clone)]
pub struct Pages(Arc<Common>);

struct Common {
    name: String,
    logo: Option<String>,
    assets: Assets,
    policy: HeaderValue,
    is_insecure: bool,
    password_min_chars: u32,
}

impl Pages {
    /// The pages as the settings want them.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let pages = &settings.pages;
        Self(Arc::new(Common {
            name: pages.name.as_ref().unwrap_or(&settings.issuer).as_str().to_owned(),
            logo: pages.logo_url.href(),
            assets: Assets::new(pages.accent),
            policy: policy(pages.logo_url.foreign_origin().as_deref()),
            is_insecure: !settings.public_url.is_https() && !settings.public_url.is_localhost(),
            password_min_chars: settings.password.min_length,
        }))
    }

    /// The stylesheet, the script and the icon.
    #[must_use]
    pub fn assets(&self) -> &Assets {
        &self.0.assets
    }
}

/// What a page may load and do (ASVS 5.0 3.4.3): files of this origin, nothing inline, nobody's frame. Only the logo may
/// come from elsewhere, if the operator says so.
fn policy(logo_origin: Option<&str>) -> HeaderValue {
    let images = logo_origin.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'{images}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}
