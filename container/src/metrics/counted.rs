//! What core counts by itself, read when somebody asks: logins, limits, the queue of hashes.

use std::fmt;

use hallpass_core::{app::App, events::logins};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};

/// The counts of one application.
pub(super) struct Counted(App);

impl Counted {
    pub(super) fn by(app: &App) -> Self {
        Self(app.clone())
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_logins(&mut encoder)?;
        self.encode_limits(&mut encoder)?;
        self.encode_queue(&mut encoder)
    }
}

fn encode_logins(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut logins =
        encoder.encode_descriptor("logins", "Steps of logins by how they ended", None, MetricType::Counter)?;
    for (end, count) in logins::ended() {
        logins.encode_family(&[("result", end.as_str())])?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
    }
    Ok(())
}

impl Counted {
    fn encode_limits(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests that were charged to a limit, by verdict";
        let mut charges = encoder.encode_descriptor("limit_charges", help, None, MetricType::Counter)?;
        for (name, counts) in self.0.keyless.limiter.tallies() {
            for (verdict, count) in
                [("admitted", counts.admitted), ("refused", counts.refused), ("unanswered", counts.unanswered)]
            {
                let labels = [("limit", name.as_str()), ("verdict", verdict)];
                charges.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn encode_queue(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let queue = self.0.passwords.queue();
        for (name, help, value) in [
            ("argon2_running", "Password hashes being computed", queue.running),
            ("argon2_waiting", "Requests that wait for leave to hash", queue.waiting),
        ] {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        for (name, help, value) in [
            ("argon2_refused", "Requests that found the queue of hashes full", queue.refused),
            ("argon2_hashes", "Password hashes that were computed", queue.computed),
        ] {
            let mut counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }
}
