//! The steps of a login, in every order (attack 5.7): none of them can be left out or come before another.

use hallpass_tests::{Answer, Authenticator, Browser, World};
use serde_json::json;

/// What anybody may try, whoever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    RightPassword,
    WrongPassword,
    RightCode,
    WrongCode,
    RecoveryCode,
}

/// What is shorter is the beginning of one of these.
const LENGTH: usize = 3;

impl Step {
    const ALL: [Self; 5] =
        [Self::RightPassword, Self::WrongPassword, Self::RightCode, Self::WrongCode, Self::RecoveryCode];

    fn is_right_second_step(self) -> bool {
        matches!(self, Self::RightCode | Self::RecoveryCode)
    }
}

/// Every sequence of so many steps.
fn orders(length: usize) -> Vec<Vec<Step>> {
    (0..length).fold(vec![Vec::new()], |orders, _| {
        orders.iter().flat_map(|order| Step::ALL.map(|step| [order.as_slice(), &[step]].concat())).collect()
    })
}

/// An account with two-step verification on.
struct Account {
    name: String,
    authenticator: Authenticator,
    recovery_codes: Vec<String>,
}

impl Account {
    async fn new(world: &World) -> Self {
        let (name, _, authenticator, recovery_codes) = world.somebody_with_totp().await;
        Self { name, authenticator, recovery_codes }
    }

    async fn attempt(&mut self, world: &World, browser: &mut Browser, step: Step) -> Answer {
        // No code is burnt by one before it, and no password held by wrong ones before it.
        world.pass(30);
        match step {
            Step::RightPassword => browser.log_in_with(&self.name, hallpass_tests::PASSWORD).await,
            Step::WrongPassword => browser.log_in_with(&self.name, "not the password").await,
            Step::RightCode => browser.verify(&self.authenticator.code(world.now())).await,
            Step::WrongCode => browser.verify(&self.authenticator.wrong_code(world.now())).await,
            Step::RecoveryCode => {
                let code = json!({ "recovery_code": self.recovery_codes[0] });
                let answer = browser.post("/login/verify", code).await;
                if answer.status == 200 {
                    self.recovery_codes.remove(0);
                }
                answer
            }
        }
    }
}

#[tokio::test]
async fn in_every_order_of_steps_a_session_is_opened_only_by_a_right_password_and_then_a_right_code() {
    let world = World::new().await;
    let mut account = Account::new(&world).await;
    for order in orders(LENGTH) {
        if account.recovery_codes.is_empty() {
            account = Account::new(&world).await;
        }
        let mut browser = world.browser();
        let (mut is_pending, mut is_logged_in) = (false, false);
        for step in &order {
            let session_before = browser.cookies.get("__Host-session").cloned();
            let answer = account.attempt(&world, &mut browser, *step).await;
            let opens = is_pending && step.is_right_second_step();
            let is_opened = browser.cookies.get("__Host-session") != session_before.as_ref();
            assert_eq!(is_opened, opens, "{step:?} in {order:?}: {}", answer.text());
            let status = if opens || *step == Step::RightPassword { 200 } else { 401 };
            assert_eq!(answer.status, status, "{step:?} in {order:?}: {}", answer.text());
            is_pending = *step == Step::RightPassword || (is_pending && !opens);
            is_logged_in |= opens;
        }
        assert_eq!(browser.is_logged_in().await, is_logged_in, "{order:?}");
    }
}
