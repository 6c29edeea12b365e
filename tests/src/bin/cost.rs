//! What a million requests cost on AWS, computed from what they really do: the calls to the store, their capacity as
//! the engine counts it, and the time that the work takes here. `cargo run --bin cost`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a command for people, over the tests' own world"
)]

use std::time::{Duration, Instant};

use hallpass_core::config::{Settings, Vars};
use hallpass_tests::{
    Browser, PASSWORD, World,
    capacity::{Capacity, Meter},
    world,
};
use serde_json::json;

/// Prices in US dollars of us-east-1, first tier, without free tiers; looked up in November 2026. The only place for them.
mod price {
    pub(crate) const LOOKED_UP: &str = "2026-11";
    pub(crate) const HTTP_API_PER_MILLION: f64 = 1.00;
    pub(crate) const LAMBDA_PER_MILLION: f64 = 0.20;
    pub(crate) const LAMBDA_ARM64_PER_GB_SECOND: f64 = 0.000_013_333_4;
    pub(crate) const WRITE_UNITS_PER_MILLION: f64 = 0.625;
    pub(crate) const READ_UNITS_PER_MILLION: f64 = 0.125;
    /// Amazon Cognito, per monthly active user beyond the free ones.
    pub(crate) const COGNITO_LITE_PER_USER: f64 = 0.0055;
    pub(crate) const COGNITO_ESSENTIALS_PER_USER: f64 = 0.015;
}

/// What isn't measured here but taken from AWS's own words and others' measurements.
mod assumption {
    /// A GetItem or PutItem takes single-digit milliseconds.
    pub(crate) const ROUND_TRIP_MILLIS: f64 = 5.0;
    /// What the runtime adds to each request.
    pub(crate) const OVERHEAD_MILLIS: f64 = 1.3;
    /// Memory that buys a whole processor.
    pub(crate) const MIB_PER_CPU: f64 = 1769.0;
}

struct Measured {
    name: &'static str,
    memory_mib: f64,
    trips: usize,
    capacity: Capacity,
    work: Duration,
}

impl Measured {
    fn billed_millis(&self) -> f64 {
        let slowed = self.work.as_secs_f64() * 1000.0 * (assumption::MIB_PER_CPU / self.memory_mib);
        self.trips as f64 * assumption::ROUND_TRIP_MILLIS + assumption::OVERHEAD_MILLIS + slowed
    }

    fn lambda(&self) -> f64 {
        let gb_seconds = self.billed_millis() / 1000.0 * self.memory_mib / 1024.0 * 1e6;
        price::LAMBDA_PER_MILLION + gb_seconds * price::LAMBDA_ARM64_PER_GB_SECOND
    }

    fn store(&self) -> f64 {
        self.capacity.writes * price::WRITE_UNITS_PER_MILLION + self.capacity.reads * price::READ_UNITS_PER_MILLION
    }

    fn total(&self) -> f64 {
        price::HTTP_API_PER_MILLION + self.lambda() + self.store()
    }
}

#[tokio::main]
async fn main() {
    let vars = [("HALLPASS_LIMITS__LOGIN", "200 per minute"), ("HALLPASS_LIMITS__SESSION", "200 per minute")];
    let meter = Meter::default();
    // At the real cost of a password.
    let world = World::metered(Settings::read(&Vars::from(vars), None).unwrap(), &meter).await;
    let name = world::fresh_name();
    let mut browser = world.browser();
    browser.register(&name).await;
    let credentials = json!({ "username": name, "password": PASSWORD });
    browser.post("/login", credentials.clone()).await.expect(200);
    browser.get("/session").await.expect(200);
    browser.get("/api/resource").await.expect(200);
    let measured = [
        measure("a session check", 256.0, &world, &meter, &mut browser, async |browser| {
            drop(browser.get("/session").await.expect(200))
        })
        .await,
        measure("a limited request", 256.0, &world, &meter, &mut browser, async |browser| {
            drop(browser.get("/api/resource").await.expect(200))
        })
        .await,
        measure("a login", 512.0, &world, &meter, &mut browser, async |browser| {
            drop(browser.post("/login", credentials.clone()).await.expect(200))
        })
        .await,
    ];
    print(&measured);
}

async fn measure(
    name: &'static str,
    memory_mib: f64,
    world: &World,
    meter: &Meter,
    browser: &mut Browser,
    ask: impl AsyncFn(&mut Browser),
) -> Measured {
    const TIMES: u32 = 5;
    #[expect(clippy::disallowed_methods, reason = "the time that really passes is the point")]
    let started = Instant::now();
    for _ in 0..TIMES - 1 {
        ask(browser).await;
    }
    world.recorder.clear();
    let _before = meter.take();
    ask(browser).await;
    let work = started.elapsed() / TIMES;
    Measured { name, memory_mib, trips: world.recorder.trips_in_sequence(), capacity: meter.take(), work }
}

fn print(measured: &[Measured]) {
    println!("US dollars per million, us-east-1, arm64, prices of {}, without free tiers\n", price::LOOKED_UP);
    println!("| request | round trips | write units | read units | billed ms | HTTP API | Lambda | DynamoDB | total |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for one in measured {
        println!(
            "| {} | {} | {} | {} | {:.0} at {} MiB | {:.2} | {:.2} | {:.2} | **{:.2}** |",
            one.name,
            one.trips,
            one.capacity.writes,
            one.capacity.reads,
            one.billed_millis(),
            one.memory_mib,
            price::HTTP_API_PER_MILLION,
            one.lambda(),
            one.store(),
            one.total()
        );
    }
    let (users, logins, checks) = (100_000.0, 20.0, 600.0);
    let monthly = users * (logins * measured[2].total() + checks * measured[0].total()) / 1e6;
    println!(
        "\n{users} users a month, each with {logins} logins and {checks} session checks: {monthly:.0} here, {:.0} with Cognito Lite, {:.0} with Cognito Essentials.",
        users * price::COGNITO_LITE_PER_USER,
        users * price::COGNITO_ESSENTIALS_PER_USER
    );
    println!("Cognito's tokens are checked for nothing by whoever gets them, and can't be revoked; these can.");
    println!("Nothing costs anything while nobody asks, but what is stored.");
}
