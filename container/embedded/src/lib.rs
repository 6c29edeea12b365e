//! A DynamoDB engine in the same process and on disk, behind the SDK's own HTTP client: no network, no signing.
//!
//! Users and sessions are in one file, where every acknowledged write has reached the disk. Counters are in another,
//! where an acknowledged write survives the end of the process, not a power failure: losing a second of counts is
//! worth not waiting for the disk at each request.
//!
//! One process at a time: a lock on the folder sees to that.

mod engine;
mod revisions;
mod transport;
pub mod wire;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use dynoxide::Database;
use engine::Owner;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

pub use engine::{Answer, Overloaded};
pub use revisions::Revisions;

/// The tables of one Hallpass, open in this process.
pub struct Embedded {
    transport: transport::InProcess,
    revisions: Arc<Revisions>,
}

/// Why a data folder can't be used. Nothing in it has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder can't be made or entered.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("{}: another process is using this data folder", .0.display())]
    Locked(PathBuf),
    /// A file is no database, or a broken one.
    #[error("{}: damaged, and left as it is: {reason}; restore it from a backup or move it away", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found.
        reason: String,
    },
    /// The engine could not start.
    #[error("the embedded store can't start: {0}")]
    Engine(String),
}

/// Users, sessions, pending logins: what must not be lost.
const ACCOUNTS_FILE: &str = "accounts.db";
/// Limit logs.
const COUNTERS_FILE: &str = "counters.db";
const LOCK_FILE: &str = "lock";
/// The data folder's: nobody but the owner may read hashes and sealed secrets.
pub const FOLDER_MODE: u32 = 0o700;
/// That of every file in it.
pub const FILE_MODE: u32 = 0o600;
/// A larger file's pages are checked as they are read, not all at the start.
const FULL_CHECK_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Whether a store was ever opened in `folder`, so that there may be accounts in it.
#[must_use]
pub fn has_accounts(folder: &Path) -> bool {
    folder.join(ACCOUNTS_FILE).exists()
}

impl Embedded {
    /// Opens the store in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// [`OpenError`]; a damaged or foreign file is never written to.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Folder { path, source }
        };
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed(folder))?;
        let lock = lock(folder)?;
        let open = |name: &str| -> Result<Database, OpenError> {
            let path = folder.join(name);
            // Closed before anything else opens the file: whoever closes one takes away all locks that this process has on it.
            check(&path)?;
            // Made here first, so that it is never readable by others, not even for a moment.
            OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(&path).map_err(failed(&path))?;
            let text =
                path.to_str().ok_or_else(|| OpenError::Engine("the data folder's name is not UTF-8".to_owned()))?;
            Database::new(text).map_err(|error| OpenError::Damaged { path: path.clone(), reason: error.to_string() })
        };
        let (accounts, counters) = thread::scope(|scope| {
            let accounts = scope.spawn(|| open(ACCOUNTS_FILE));
            let counters = open(COUNTERS_FILE);
            (accounts.join(), counters)
        });
        let accounts = accounts.map_err(|_| OpenError::Engine("opening panicked".to_owned()))??;
        let counters = counters?;
        // Leaves SQLite at `synchronous = NORMAL`: the log is written at each commit, and synced at checkpoints only.
        counters.disable_bulk_loading().map_err(|error| OpenError::Engine(error.to_string()))?;
        Self::over(accounts, counters, Some(lock))
    }

    /// A store in memory, which ends with the process.
    ///
    /// # Errors
    /// [`OpenError::Engine`].
    pub fn in_memory() -> Result<Self, OpenError> {
        let memory = || Database::memory().map_err(|error| OpenError::Engine(error.to_string()));
        Self::over(memory()?, memory()?, None)
    }

    fn over(accounts: Database, counters: Database, lock: Option<File>) -> Result<Self, OpenError> {
        let start = |name: &str, database, revisions| {
            Owner::start(name, database, revisions).map_err(|error| OpenError::Engine(error.to_string()))
        };
        let revisions = Arc::<Revisions>::default();
        let accounts = start("accounts", accounts, Some(Arc::clone(&revisions)))?;
        let counters = start("counters", counters, None)?;
        Ok(Self { transport: transport::InProcess::new(accounts, counters, lock), revisions })
    }

    /// Answers a request of the DynamoDB API that came over the network; the operation is such as `GetItem`.
    ///
    /// # Errors
    /// [`Overloaded`]: nothing was done.
    pub async fn answer(&self, operation: &str, body: Vec<u8>) -> Result<Answer, Overloaded> {
        let operation = operation.to_owned();
        self.transport.answer(engine::Request { operation, body, origin: engine::Origin::Network }).await
    }

    /// How often each user's sessions were written.
    #[must_use]
    pub fn revisions(&self) -> Arc<Revisions> {
        Arc::clone(&self.revisions)
    }

    /// The HTTP client that the SDK is given.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        self.transport.clone().into_client()
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK_FILE);
    let failed = |source| OpenError::Folder { path: path.clone(), source };
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Looks at a database file, if there is one, without writing to it.
fn check(path: &Path) -> Result<(), OpenError> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 => metadata.len(),
        // Missing or empty: a first start.
        Ok(_) | Err(_) => return Ok(()),
    };
    let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| damaged(error.to_string()))?;
    // Or closing would fold the write-ahead log into the file, damaged or not.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(|error| damaged(error.to_string()))?;
    let verdict = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, String>(0));
    let checked = if bytes <= FULL_CHECK_MAX_BYTES {
        verdict("PRAGMA quick_check(1)")
    } else {
        connection.query_row("PRAGMA schema_version", [], |_| Ok("ok".to_owned()))
    };
    match checked {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(damaged(verdict)),
        Err(error) => Err(damaged(error.to_string())),
    }
}
