//! Every route that takes a password or a code counts on the same account (attack 5.6): what was guessed at one is guessed
//! at all. The routes are those of the OpenAPI document, so that a new one is asked too.

use axum::http::Method;
use hallpass_tests::{Answer, Authenticator, Browser, PASSWORD, World, contract};
use serde_json::Value;

/// What a route compares with a password of the account.
const PASSWORDS: [&str; 2] = ["password", "current_password"];
/// Compares none: it takes the first password of an account that isn't there yet.
const CHOOSES_A_PASSWORD: &str = "POST /register";
/// Has a count of its own, of ten: the factor isn't there yet.
const SETS_A_FACTOR_UP: &str = "POST /totp/confirm";
/// Whatever else a route takes.
const NO_CREDENTIALS: [&str; 5] = ["username", "email", "login_token", "delivery", "next"];
/// Failures in a row that close a second step.
const CODES_MAX: usize = 100;

/// A route, and the fields that it takes.
#[derive(Debug, Clone)]
struct Route {
    method: Method,
    path: String,
    fields: Vec<String>,
}

/// Every route that takes one of these fields, but this one.
fn routes_that_take(fields: &[&str], but: &str) -> Vec<Route> {
    let taken = contract::fields(&contract::of_the_code());
    let known = [&PASSWORDS[..], &NO_CREDENTIALS, &["new_password", "code", "recovery_code"]].concat();
    assert!(taken.iter().flat_map(|(_, fields)| fields).all(|field| known.contains(&field.as_str())), "{taken:?}");
    let routes = taken
        .into_iter()
        .filter(|(operation, taken)| operation != but && taken.iter().any(|field| fields.contains(&field.as_str())));
    let route = |(operation, fields): (String, Vec<String>)| {
        let (method, path) = operation.split_once(' ').unwrap();
        Route { method: method.parse().unwrap(), path: path.to_owned(), fields }
    };
    routes.map(route).collect()
}

/// A world where no address is over its limit.
async fn world() -> World {
    let enough = "100000 per minute";
    World::with([
        ("HALLPASS_LIMITS__LOGIN", enough),
        ("HALLPASS_LIMITS__VERIFY", enough),
        ("HALLPASS_LIMITS__PASSWORD", enough),
        ("HALLPASS_LIMITS__DEFAULT", "off"),
    ])
    .await
}

/// Somebody with two-step verification on, and a browser that has logged in before.
struct Account {
    name: String,
    owner: Browser,
    authenticator: Authenticator,
}

impl Account {
    async fn new(world: &World) -> Self {
        let (name, owner, authenticator, _) = world.somebody_with_totp().await;
        Self { name, owner, authenticator }
    }

    /// Asks a route with the owner's cookies, and keeps nothing of the answer. The second step is a field and its value.
    async fn ask(&self, route: &Route, password: &str, (second_step, proof): (&str, &str)) -> Answer {
        let mut browser = self.owner.clone();
        if route.path == "/login/verify" {
            browser.log_in(&self.name).await;
        }
        let value = |field: &String| match field.as_str() {
            "username" => Some(&*self.name),
            "password" | "current_password" => Some(password),
            "new_password" => Some("another good password"),
            field if field == second_step => Some(proof),
            // One second step is enough, and the rest says only how to answer.
            _ => None,
        };
        let body: Value = route.fields.iter().filter_map(|field| Some((field.clone(), value(field)?))).collect();
        browser.json(route.method.clone(), &route.path, &body).await
    }
}

#[tokio::test]
async fn ten_wrong_passwords_at_any_route_hold_a_right_one_at_every_route() {
    let world = world().await;
    let routes = routes_that_take(&PASSWORDS, CHOOSES_A_PASSWORD);
    assert!(routes.len() >= 6, "{routes:?}");
    for guessed_at in &routes {
        let account = Account::new(&world).await;
        let code = account.authenticator.code(world.now());
        for _ in 0..10 {
            let answer = account.ask(guessed_at, "not the password", ("code", &code)).await;
            answer.expect_problem(401, "invalid-credentials");
        }
        for route in &routes {
            let answer = account.ask(route, PASSWORD, ("code", &code)).await;
            assert_eq!(answer.problem().as_deref(), Some("rate-limited"), "{guessed_at:?}, then {route:?}");
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "1"), "{route:?}");
        }
    }
}

/// Of which each has its share: were it not counted at one of them, a hundred would not be reached.
#[tokio::test]
async fn a_hundred_wrong_codes_at_all_routes_together_close_every_route_to_a_right_one() {
    let world = world().await;
    let account = Account::new(&world).await;
    let wrong_code = account.authenticator.wrong_code(world.now());
    let wrong = [("code", wrong_code.as_str(), 4), ("recovery_code", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa", 3)];
    let mut doors = Vec::new();
    for (field, wrong, routes_min) in wrong {
        let routes = routes_that_take(&[field], SETS_A_FACTOR_UP);
        assert!(routes.len() >= routes_min, "{field}: {routes:?}");
        doors.extend(routes.into_iter().map(|route| (route, (field, wrong))));
    }
    for (route, wrong) in doors.iter().cycle().take(CODES_MAX) {
        account.ask(route, PASSWORD, *wrong).await.expect_problem(401, "invalid-code");
    }
    let right = account.authenticator.code(world.now());
    for (route, _) in doors.iter().filter(|(_, (field, _))| *field == "code") {
        let answer = account.ask(route, PASSWORD, ("code", &right)).await;
        assert_eq!(answer.problem().as_deref(), Some("invalid-code"), "{route:?}");
    }
}
