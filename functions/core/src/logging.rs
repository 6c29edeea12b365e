//! Log lines: JSON, or text on a terminal; one event a line, whatever it holds.

use std::{fmt, io::IsTerminal, panic::set_hook};

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

use crate::{events, http::client::ClientAddress};

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

/// Sends log lines to standard output from here on; a panic is one of them, not words on standard error.
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
        let lines = lines.json().event_format(flat_json());
        registry.with(lines.with_filter(filter)).try_init()
    };
    started.map_err(|_| LoggingError::Twice)?;
    // The hook that is there by default writes out what a panic says, which may quote input or a secret.
    set_hook(Box::new(events::panicked_at));
    Ok(())
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

/// One flat object a line.
fn flat_json() -> OfRequest<Format<Json>> {
    OfRequest(tracing_subscriber::fmt::format().json().flatten_event(true))
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

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io::{self, Read},
        panic::{catch_unwind, take_hook},
        sync::Arc,
        thread,
    };

    use serde_json::Value;

    use super::*;

    /// What is logged in JSON while `work` runs.
    pub(crate) fn logged(work: impl FnOnce()) -> String {
        let (mut log, writer) = io::pipe().unwrap();
        let lines = tracing_subscriber::fmt::layer().with_writer(Arc::new(writer));
        let lines = lines.json().event_format(flat_json());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    }

    /// Gives this thread the hook of [`start`]; the other tests keep theirs, which tells why they fail.
    fn hook_this_thread() {
        let (here, of_others) = (thread::current().id(), take_hook());
        set_hook(Box::new(move |info| match thread::current().id() == here {
            true => events::panicked_at(info),
            false => of_others(info),
        }));
    }

    fn fail(secret: &str) {
        panic!("with {secret}");
    }

    #[test]
    fn what_a_panic_says_is_logged_only_if_it_is_a_fixed_text() {
        let log = logged(|| {
            events::panicked(&"a fixed text");
            events::panicked(&"a canary in a text".to_owned());
        });
        assert!(log.contains("a fixed text") && !log.contains("canary") && log.lines().count() == 2, "{log}");
    }

    /// In a process of its own, which is this test again: a hook is everybody's.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test needs another process; Hallpass starts none")]
    fn once_started_a_panic_says_nothing_on_standard_error() {
        const CHILD: &str = "HALLPASS_TEST_PANICS";
        if std::env::var_os(CHILD).is_some() {
            start("info").unwrap();
            let secret = ["canary", "secret"].join(" ");
            thread::spawn(move || fail(&secret)).join().unwrap_err();
            return;
        }
        let name = "logging::tests::once_started_a_panic_says_nothing_on_standard_error";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", name])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let [out, err] = [child.stdout, child.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(child.status.success() && out.contains(r#""event":"panic.at""#), "{out}");
        assert!(err.is_empty() && !out.contains("canary"), "{err}");
    }

    #[test]
    fn a_panic_is_logged_as_where_it_was_and_never_as_what_it_says() {
        let asked = Asked { id: Uuid::from_u128(7), client: None };
        let panicking = || {
            hook_this_thread();
            let secret = ["canary", "secret"].join(" ");
            ASKED.sync_scope(asked, || catch_unwind(|| fail(&secret)).unwrap_err());
        };
        // In a thread of its own, so that this one can say what is wrong.
        let log = thread::scope(|scope| scope.spawn(|| logged(panicking)).join().unwrap());
        assert!(!log.contains("canary") && log.lines().count() == 1, "{log}");
        let line: Value = serde_json::from_str(&log).unwrap();
        assert_eq!((&line["event"], &line["level"]), (&Value::from("panic.at"), &Value::from("ERROR")));
        assert!(line["location"].as_str().unwrap().starts_with(concat!(file!(), ":")), "{line}");
        assert_eq!(line["request_id"], Uuid::from_u128(7).to_string());
    }
}
