//! How many files the system lets the process have open, and what they are for.

use hallpass_core::config::StoreKind;

/// Connections at a time; more wait in the listen queue. About 20 KiB each.
const CONNECTIONS_MAX: usize = 4096;
/// Open files for everything else: an embedded store's own, the log, whoever watches.
const OTHER_FILES: usize = 128;

/// Open files for a connection and what is asked of the store for it. A call over a network takes a connection, which is
/// kept when another one was faster.
fn files_per_connection(store: StoreKind) -> usize {
    match store {
        StoreKind::Embedded => 1,
        StoreKind::DynamoDb => 3,
    }
}

/// How many connections to take at a time, and how many calls to make of a store behind a network: as many as there are
/// files for, once the system was asked for enough. Who runs out of them can't even open its own.
pub(crate) fn places(store: StoreKind) -> usize {
    let files_each = files_per_connection(store);
    let wanted = CONNECTIONS_MAX * files_each + OTHER_FILES;
    let granted = match rlimit::increase_nofile_limit(wanted as u64) {
        Ok(granted) => usize::try_from(granted).unwrap_or(usize::MAX),
        Err(error) => {
            tracing::warn!(event = "server.files_unknown", %error);
            return CONNECTIONS_MAX;
        }
    };
    let places = (granted.saturating_sub(OTHER_FILES) / files_each).clamp(1, CONNECTIONS_MAX);
    if places < CONNECTIONS_MAX {
        tracing::warn!(event = "server.few_files", files = granted, connections = places);
    }
    places
}
