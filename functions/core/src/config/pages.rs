//! How the pages look: a name, a logo, a colour.

use std::{fmt, str::FromStr};

use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::values::{Issuer, by_text};

/// What operators can set about the pages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PagesSettings {
    /// `HALLPASS_PAGES__NAME`: the name at the top of every page, 1 to 64 characters; the issuer.
    pub name: Option<Issuer>,
    /// `HALLPASS_PAGES__LOGO_URL`: a picture shown beside the name, `https://…` or a path of this origin; a pass drawn
    /// in the accent colour.
    pub logo_url: LogoUrl,
    /// `HALLPASS_PAGES__ACCENT`: colour of buttons and links, `#rrggbb`; `#2f5bd7`. Links are made darker or lighter
    /// where they could not be read otherwise.
    pub accent: Accent,
}

by_text!(LogoUrl, Accent);

/// Where a picture is, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogoUrl(Option<Uri>);

impl LogoUrl {
    /// What goes into the page.
    #[must_use]
    pub fn href(&self) -> Option<String> {
        self.0.as_ref().map(ToString::to_string)
    }

    /// The origin to allow in the pages' policy, if it isn't ours.
    #[must_use]
    pub fn foreign_origin(&self) -> Option<String> {
        let uri = self.0.as_ref()?;
        Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
    }
}

impl FromStr for LogoUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("'{text}' is neither an https:// URL nor a path such as /logo.svg");
        if text.is_empty() {
            return Ok(Self(None));
        }
        // Quotes, semicolons and commas would end a source in a policy.
        if text.starts_with("//") || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"'\";,\\".contains(&byte)) {
            return Err(problem());
        }
        let uri: Uri = text.parse().map_err(|_| problem())?;
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_ours = uri.scheme().is_none() && uri.authority().is_none() && uri.path().starts_with('/');
        let fits = is_ours || (uri.scheme_str() == Some("https") && !has_user);
        fits.then_some(Self(Some(uri))).ok_or_else(problem)
    }
}

impl fmt::Display for LogoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |uri| uri.fmt(f))
    }
}

/// A colour: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accent(pub [u8; 3]);

impl Default for Accent {
    fn default() -> Self {
        Self([0x2f, 0x5b, 0xd7])
    }
}

impl FromStr for Accent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let bytes = digits.and_then(|digits| data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok());
        let color = bytes.and_then(|bytes| bytes.try_into().ok());
        color.map(Self).ok_or_else(|| format!("'{text}' is not a colour such as #2f5bd7"))
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}
