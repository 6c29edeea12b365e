//! Log lines: JSON, or text on a terminal; one event a line, whatever it holds.

use std::{fmt, io::IsTerminal};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Compact, Format, Json, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};
use uuid::Uuid;

use crate::http::client::ClientAddress;

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
    let lines = tracing_subscriber::fmt::layer();
    let started = if std::io::stdout().is_terminal() {
        let lines = lines.event_format(OfRequest(tracing_subscriber::fmt::format().compact()));
        registry.with(lines.with_filter(filter)).try_init()
    } else {
        let lines = lines.json().event_format(OfRequest(tracing_subscriber::fmt::format().json().flatten_event(true)));
        registry.with(lines.with_filter(filter)).try_init()
    };
    started.map_err(|_| LoggingError::Twice)
}

/// An error and what is behind it, in words alone: the debug form of some holds the answer, and so what is secret in it.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What every line of a request tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Its id, which the answer names too.
    pub id: Uuid,
    /// Who asks, where that is known.
    pub client: Option<ClientAddress>,
}

tokio::task_local! {
    static ASKED: Asked;
}

/// Runs a request, whose every line then names it. A span would too, but costs more than the rest of a session check.
///
/// No `async fn`, which would hold the request twice.
pub fn of_request<T>(asked: Asked, request: impl Future<Output = T>) -> impl Future<Output = T> {
    ASKED.scope(asked, request)
}

fn asked() -> Option<Asked> {
    ASKED.try_with(|asked| *asked).ok()
}

/// The lines of a format, with the id and the client of the request they are of.
struct OfRequest<F>(F);

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N>
    for OfRequest<Format<Json>>
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let (Some(Asked { id, client }), Some(open)) = (asked(), line.strip_suffix("}\n")) else {
            return writer.write_str(&line);
        };
        writer.write_str(open)?;
        if let Some(client) = client {
            write!(writer, ",\"client\":\"{}\"", client.ip())?;
        }
        writeln!(writer, ",\"request_id\":\"{id}\"}}")
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N>
    for OfRequest<Format<Compact>>
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if let Some(Asked { id, client }) = asked() {
            write!(writer, "{id} ")?;
            if let Some(client) = client {
                write!(writer, "{} ", client.ip())?;
            }
        }
        self.0.format_event(context, writer, event)
    }
}

/// The libraries below us log whole requests and items at their lower levels, hashes and client input included: those
/// never reach the log, whatever the filter says (ASVS 5.0 16.2.5).
fn is_fit_to_log(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("hallpass") || *metadata.level() <= Level::INFO
}
