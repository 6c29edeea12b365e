//! The key file: read where it is named, made where it is our own and nothing depends on another yet.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use hallpass_core::{
    config::{Settings, StoreKind},
    keyset::KeySet,
    random::OsRandom,
};
use zeroize::Zeroizing;

use crate::commands::CommandError;

const FILE_NAME: &str = "keys";
const FILE_MODE: u32 = 0o600;

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
    let path = folder.join(FILE_NAME);
    if !path.exists() {
        if folder.join("accounts.db").exists() {
            let problem = format!(
                "HALLPASS_DATA_DIR: {}: the keys are missing, but there is data that needs them; put the file back",
                path.display()
            );
            return Err(CommandError::Keys(problem));
        }
        make(folder, &path)
            .map_err(|error| CommandError::Keys(format!("HALLPASS_DATA_DIR: {}: {error}", path.display())))?;
    }
    read("HALLPASS_DATA_DIR", &path)
}

/// Writes a fresh key beside its place and moves it there, so that half a key is never found.
fn make(folder: &Path, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished: PathBuf = folder.join("keys.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&unfinished)?;
    file.write_all(KeySet::fresh_file(&OsRandom).as_bytes())?;
    file.sync_all()?;
    // Fails if there is a key by now: two first starts at once must not replace each other's.
    fs::hard_link(&unfinished, path)
        .or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
    fs::remove_file(&unfinished)?;
    fs::File::open(folder)?.sync_all()
}

fn read(setting: &str, path: &Path) -> Result<KeySet, CommandError> {
    let text = Zeroizing::new(
        fs::read_to_string(path)
            .map_err(|error| CommandError::Keys(format!("{setting}: {}: {error}", path.display())))?,
    );
    KeySet::parse(&text).map_err(|error| CommandError::Keys(format!("{setting}: {}: {error}", path.display())))
}
