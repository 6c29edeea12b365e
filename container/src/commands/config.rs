//! `hallpass config`: shows the settings in force.

use std::io::{Write, stdout};

use super::{CommandError, settings};

/// Prints them as a file that could be read back.
pub(crate) fn show() -> Result<(), CommandError> {
    let settings = settings()?;
    let mut text = settings.to_toml();
    text.push_str("\n# Keys are never shown.\n");
    stdout().write_all(text.as_bytes())?;
    Ok(())
}
