//! Log lines: JSON, or text on a terminal; one event a line, whatever it holds.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Why logging can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter can't be read.
    #[error("HALLPASS_LOG: '{0}' is not a filter such as info or warn,hallpass=debug")]
    Filter(String),
    /// Logging was set up before.
    #[error("logging was set up twice")]
    Twice,
}

/// Sends log lines to standard output from here on.
///
/// # Errors
/// [`LoggingError`].
pub fn start(filter: &str) -> Result<(), LoggingError> {
    let filter: Targets = filter.parse().map_err(|_| LoggingError::Filter(filter.to_owned()))?;
    let filter = filter.and(filter_fn(is_fit_to_log));
    let registry = tracing_subscriber::registry();
    let started = if std::io::stdout().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().compact().with_filter(filter)).try_init()
    } else {
        registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false)
                    .with_filter(filter),
            )
            .try_init()
    };
    started.map_err(|_| LoggingError::Twice)
}

/// The libraries below us log whole requests and items at their lower levels, hashes and client input included: those
/// never reach the log, whatever the filter says (ASVS 5.0 16.2.5).
fn is_fit_to_log(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("hallpass") || *metadata.level() <= Level::INFO
}
