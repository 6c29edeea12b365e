//! Where a function's keys come from: an SSM SecureString, or a file beside the function.

use aws_sdk_ssm::{error::SdkError, operation::put_parameter::PutParameterError, types::ParameterType};
use futures_util::FutureExt;
use zeroize::Zeroizing;

use super::platform::Platform;
use crate::{
    config::Settings,
    keyset::{KeyError, KeySet},
    logging::reasons,
    random::Random,
};

const DESCRIPTION: &str =
    "Hallpass keys: one a line, the first seals, all open. Lose them and nobody can log in any more";

/// Why a function has no keys, and so must not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Neither setting names any.
    #[error("HALLPASS_KEYS_SSM or HALLPASS_KEYS_FILE: no keys; name what holds them")]
    Unnamed,
    /// The parameter can't be read.
    #[error("HALLPASS_KEYS_SSM: {name}: {reason}")]
    Parameter {
        /// The parameter's name.
        name: String,
        /// What SSM says.
        reason: String,
    },
    /// The file can't be read.
    #[error("HALLPASS_KEYS_FILE: {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// What was read holds no keys.
    #[error("{setting}: {source}")]
    Malformed {
        /// Which setting led there.
        setting: &'static str,
        /// What is wrong.
        source: KeyError,
    },
}

/// Reads the keys that the settings name; the parameter goes before the file.
///
/// # Errors
/// [`LoadError`]; none of them quotes what was read.
pub async fn load(settings: &Settings, platform: &Platform) -> Result<KeySet, LoadError> {
    let (setting, text) = match (&settings.keys_ssm, &settings.keys_file) {
        (Some(name), _) => ("HALLPASS_KEYS_SSM", parameter(name, platform).await?),
        (None, Some(path)) => {
            let read = std::fs::read_to_string(path).map(Zeroizing::new);
            let failed = |source| LoadError::File { path: path.display().to_string(), source };
            ("HALLPASS_KEYS_FILE", read.map_err(failed)?)
        }
        (None, None) => return Err(LoadError::Unnamed),
    };
    KeySet::parse(&text).map_err(|source| LoadError::Malformed { setting, source })
}

/// Makes the parameter that holds the keys, with one fresh key in it, unless there is one: it is never overwritten.
/// Whether it was made.
///
/// # Errors
/// What SSM says; never what was to be written.
pub async fn make_once(name: &str, platform: &Platform, random: &dyn Random) -> Result<bool, String> {
    let value = KeySet::fresh_file(random);
    let request = platform.ssm().put_parameter().name(name).r#type(ParameterType::SecureString);
    let request = request.description(DESCRIPTION).value(value.as_str()).overwrite(false);
    match request.send().boxed().await {
        Ok(_) => Ok(true),
        Err(error) if error.as_service_error().is_some_and(PutParameterError::is_parameter_already_exists) => Ok(false),
        // The request in it would quote the key.
        Err(SdkError::ServiceError(refused)) => Err(refused.into_err().to_string()),
        Err(error) => Err(reasons(&error)),
    }
}

async fn parameter(name: &str, platform: &Platform) -> Result<Zeroizing<String>, LoadError> {
    let failed = |reason: String| LoadError::Parameter { name: name.to_owned(), reason };
    let found = platform.ssm().get_parameter().name(name).with_decryption(true).send().boxed().await;
    let found = found.map_err(|error| failed(reasons(&error)))?;
    let value = found.parameter.and_then(|parameter| parameter.value);
    value.map(Zeroizing::new).ok_or_else(|| failed("it has no value".to_owned()))
}
