//! The key file: read where it is named, made where it is our own and nothing depends on another yet.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use hallpass_core::{
    config::{Settings, StoreKind},
    keyset::KeySet,
    random::OsRandom,
};
use hallpass_embedded::{FILE_MODE, FOLDER_MODE, has_accounts};
use zeroize::Zeroizing;

use crate::commands::CommandError;

const FILE_NAME: &str = "keys";
const UNFINISHED_NAME: &str = "keys.new";

/// The keys of this process. With the embedded store they are made at the first start, before any data is.
pub(crate) fn load(settings: &Settings) -> Result<KeySet, CommandError> {
    if settings.keys_ssm.is_some() {
        return Err(CommandError::Keys(
            "HALLPASS_KEYS_SSM: only Lambda functions read it; use HALLPASS_KEYS_FILE here".to_owned(),
        ));
    }
    match (&settings.keys_file, settings.store) {
        (Some(path), _) => read("HALLPASS_KEYS_FILE", path),
        (None, StoreKind::Embedded) => own(&settings.data_dir),
        (None, StoreKind::DynamoDb) => Err(CommandError::Keys(
            "HALLPASS_KEYS_FILE: needed with HALLPASS_STORE=dynamodb: every instance must have the same keys"
                .to_owned(),
        )),
    }
}

fn own(folder: &Path) -> Result<KeySet, CommandError> {
    const SETTING: &str = "HALLPASS_DATA_DIR";
    let path = folder.join(FILE_NAME);
    if !path.exists() {
        if has_accounts(folder) {
            let problem = "the keys are missing, but there is data that needs them; put the file back";
            return Err(unusable(SETTING, &path, problem));
        }
        make(folder, &path).map_err(|error| unusable(SETTING, &path, error))?;
    }
    read(SETTING, &path)
}

/// Writes a fresh key beside its place and moves it there, so that half a key is never found.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    let unfinished = folder.join(UNFINISHED_NAME);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
    file.write_all(KeySet::fresh_file(&OsRandom).as_bytes())?;
    file.sync_all()?;
    // Fails if there is a key by now: two first starts at once must not replace each other's.
    fs::hard_link(&unfinished, path)
        .or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
    fs::remove_file(&unfinished)?;
    File::open(folder)?.sync_all()
}

fn read(setting: &str, path: &Path) -> Result<KeySet, CommandError> {
    let text = fs::read_to_string(path).map_err(|error| unusable(setting, path, error))?;
    KeySet::parse(&Zeroizing::new(text)).map_err(|error| unusable(setting, path, error))
}

fn unusable(setting: &str, path: &Path, problem: impl fmt::Display) -> CommandError {
    CommandError::Keys(format!("{setting}: {}: {problem}", path.display()))
}
