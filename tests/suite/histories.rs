//! Random histories of one account: a short form of `cargo run --bin races`.

use hallpass_tests::histories;

/// Races of one history.
const LENGTH: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn some_order_explains_what_all_clients_of_an_account_are_told() {
    let Some(instances) = histories::instances().await else { return };
    for seed in 0..12 {
        let run = histories::run(&instances, seed, LENGTH).await;
        let tally = run.unwrap_or_else(|violation| panic!("no order explains {violation:#?}"));
        assert!(tally.requests > LENGTH, "{tally:?}");
    }
}
