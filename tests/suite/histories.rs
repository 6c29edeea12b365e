//! Random histories of one account: a short form of `cargo run --bin races`.

use hallpass_tests::histories::{self, Tally, Theme};

/// Steps of one history.
const LENGTH: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn some_order_explains_what_all_clients_of_an_account_are_told() {
    let Some(instances) = histories::instances().await else { return };
    let mut total = Tally::default();
    for seed in 0..12 {
        let run = histories::run(&instances, seed, LENGTH).await;
        total += run.unwrap_or_else(|violation| panic!("no order explains {violation:#?}"));
    }
    assert!(Theme::ALL.iter().all(|theme| total.of(*theme) > 0), "{total:?}");
}
