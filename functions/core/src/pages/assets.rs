//! The stylesheet, the script and the icon. Their names hold a digest of their content, so browsers keep them.

use axum::{
    body::Bytes,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::accent;
use crate::config::Accent;

/// The files that pages load.
#[derive(Debug)]
pub struct Assets {
    pub(super) style: Asset,
    pub(super) script: Asset,
    pub(super) icon: Asset,
}

/// A file: `/assets/<stem>-<digest>.<extension>`.
#[derive(Debug)]
pub(super) struct Asset {
    stem: &'static str,
    extension: &'static str,
    content_type: HeaderValue,
    body: Bytes,
    pub(super) path: String,
}

const FOLDER: &str = "/assets/";
/// 48 bits tell one release of a file from another.
const DIGEST_BYTES: usize = 6;

impl Assets {
    pub(super) fn new(accent: Accent) -> Self {
        let style = accent::properties(accent) + include_str!("../../assets/style.css");
        let icon = include_str!("../../assets/icon.svg")
            .replace("#2f5bd7", &accent.to_string())
            .replace("#fff", &accent::on(accent).to_string());
        Self {
            style: Asset::new("style", "css", HeaderValue::from_static("text/css; charset=utf-8"), style.into()),
            script: Asset::new(
                "script",
                "js",
                HeaderValue::from_static("text/javascript; charset=utf-8"),
                Bytes::from_static(include_bytes!("../../assets/script.js")),
            ),
            icon: Asset::new("icon", "svg", HeaderValue::from_static("image/svg+xml; charset=utf-8"), icon.into()),
        }
    }

    /// The file of this name.
    ///
    /// A name with another digest is one of another release, whose page another instance rendered: it gets what is here,
    /// and the browser doesn't keep it.
    #[must_use]
    pub fn answer(&self, file: &str) -> Option<Response> {
        let asset = [&self.style, &self.script, &self.icon].into_iter().find(|asset| asset.is_called(file))?;
        let is_current = asset.path.strip_prefix(FOLDER) == Some(file);
        let keep = if is_current { "public, max-age=31536000, immutable" } else { "no-store" };
        let headers = [
            (header::CONTENT_TYPE, asset.content_type.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
        ];
        Some((headers, asset.body.clone()).into_response())
    }
}

impl Asset {
    fn new(stem: &'static str, extension: &'static str, content_type: HeaderValue, body: Bytes) -> Self {
        let digest: Vec<u8> = Sha256::digest(&body).iter().copied().take(DIGEST_BYTES).collect();
        let path = format!("{FOLDER}{stem}-{}.{extension}", HEXLOWER.encode(&digest));
        Self { stem, extension, content_type, body, path }
    }

    /// Whether `file` is this file's name, with whatever digest.
    fn is_called(&self, file: &str) -> bool {
        let digest = file.strip_prefix(self.stem).and_then(|rest| rest.strip_suffix(self.extension));
        let digest = digest.and_then(|rest| rest.strip_prefix('-')?.strip_suffix('.'));
        digest.is_some_and(|digest| digest.len() == 2 * DIGEST_BYTES)
    }
}
