//! The pages, as far as they can be judged without a browser; `.ci/browser` has one.

use std::collections::BTreeSet;

use axum::http::Method;
use hallpass_tests::{Answer, Authenticator, Browser, PASSWORD, World, world::fresh_name};

use crate::sources;

const PUBLIC: [&str; 3] = ["/", "/login", "/register"];
pub(crate) const PRIVATE: [&str; 3] = ["/account", "/account/security", "/account/sessions"];

#[test]
fn every_page_is_known_to_be_public_or_private() {
    let routes = sources::routes(&["functions"]);
    let pages: BTreeSet<&str> = routes.iter().filter_map(|route| route.strip_prefix("GET ")).collect();
    // Files, and the page of a login that is half done, are neither.
    let known = PUBLIC.iter().chain(&PRIVATE).chain(&["/assets/{file}", "/login/verify"]);
    assert_eq!(pages, known.copied().collect());
}

/// A browser that goes to addresses, as people's do.
fn reader(browser: Browser) -> Browser {
    browser.header("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
}

/// What stands between two texts of a page.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).unwrap_or_else(|| panic!("no {start}: {text}")).0
}

#[track_caller]
fn expect_page(answer: Answer, status: u16) -> String {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer.text()
}

#[tokio::test]
async fn every_page_may_load_only_our_files_and_is_kept_by_nobody() {
    let world = World::with([("HALLPASS_PUBLIC_URL", "https://login.example.org")]).await.in_process();
    let (_, mut browser) = world.somebody().await;
    let paths = PUBLIC.iter().chain(&PRIVATE).chain(&["/nowhere"]);
    for (path, mut reader) in paths.map(|path| (path, reader(browser.clone()))) {
        if PUBLIC.contains(path) {
            reader = reader.private_window();
        }
        let answer = reader.get(path).await;
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ] {
            assert_eq!(answer.header(name), value, "{path} {name}");
            assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{path} {name}");
        }
        let page = answer.text();
        for forbidden in ["style=", "<style", " onclick", "javascript:", "http://", "src=\"//"] {
            assert!(!page.contains(forbidden), "{path}: {forbidden}");
        }
        assert!(page.matches("<script").count() == 1 && page.contains("<script src=\"/assets/"), "{path}");
    }
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn the_address_of_a_form_leads_whoever_reloads_it_to_its_page() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    for (address, page) in [
        ("/password", "/account/security"),
        ("/totp", "/account/security"),
        ("/totp/confirm", "/account/security"),
        ("/recovery-codes", "/account/security"),
        ("/sessions/revoke-others", "/account/sessions"),
    ] {
        let answer = reader(browser.clone()).get(address).await.expect(303);
        assert_eq!(answer.header("location"), page, "{address}");
        let status = browser.clone().get(address).await.status.as_u16();
        assert!(matches!(status, 404 | 405), "a program is told: {address} {status}");
    }
}

#[tokio::test]
async fn only_the_operators_logo_may_come_from_elsewhere() {
    let world = World::with([
        ("HALLPASS_PAGES__LOGO_URL", "https://cdn.example.org/a/logo.svg"),
        ("HALLPASS_PAGES__NAME", "R&D <App>"),
        ("HALLPASS_PAGES__ACCENT", "#123456"),
    ])
    .await;
    let answer = world.browser().get("/login").await.expect(200);
    assert!(answer.header("content-security-policy").contains("img-src 'self' https://cdn.example.org;"));
    let page = answer.text();
    assert!(page.contains("src=\"https://cdn.example.org/a/logo.svg\""), "{page}");
    assert!(page.contains("R&#38;D &#60;App&#62;") && !page.contains("<App>"), "{page}");
    let style = between(&page, "stylesheet\" href=\"", "\"").to_owned();
    assert!(world.browser().get(&style).await.expect(200).text().contains("--accent:#123456"));
}

#[tokio::test]
async fn files_are_kept_for_as_long_as_they_are_the_same() {
    let world = World::new().await;
    let page = world.browser().get("/").await.expect(200).text();
    let style = between(&page, "stylesheet\" href=\"", "\"").to_owned();
    for (path, kind) in [
        (style.as_str(), "text/css; charset=utf-8"),
        (between(&page, "<script src=\"", "\""), "text/javascript; charset=utf-8"),
        (between(&page, "image/svg+xml\" href=\"", "\""), "image/svg+xml; charset=utf-8"),
    ] {
        let answer = world.browser().get(path).await.expect(200);
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    }
    // Another release's name, during a roll-out.
    let answer = world.browser().get("/assets/style-000000000000.css").await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    for path in ["/assets/style.css", "/assets/style-.css", "/assets/..%2fCargo.toml", "/assets/%ff", "/assets/"] {
        world.browser().get(path).await.expect(404);
    }
}

#[tokio::test]
async fn a_page_costs_no_trip_to_the_store_beyond_the_session_check() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    for path in PRIVATE {
        browser.get(path).await.expect(200);
        world.recorder.clear();
        browser.get(path).await.expect(200);
        assert_eq!(world.recorder.trips_in_sequence(), 1, "{path}: {:?}", world.recorder.operations());
    }
    let mut stranger = world.browser();
    stranger.get("/login").await.expect(200);
    world.recorder.clear();
    for path in PUBLIC {
        stranger.get(path).await.expect(200);
    }
    let reads = |operation: &String| !matches!(operation.as_str(), "UpdateItem" | "PutItem");
    assert!(!world.recorder.operations().iter().any(reads), "{:?}", world.recorder.operations());
}

#[tokio::test]
async fn looking_at_pages_keeps_the_session_alive() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    for path in PRIVATE {
        world.pass(2400);
        browser.get(path).await.expect(200);
    }
    world.pass(3600);
    browser.get("/account").await.expect(303);
}

#[tokio::test]
async fn private_pages_lead_to_the_login_and_back() {
    let world = World::new().await;
    let (name, _) = world.somebody().await;
    for path in PRIVATE {
        let mut browser = world.browser();
        let location = browser.get(path).await.expect(303).header("location").to_owned();
        assert!(location.starts_with("/login?next="), "{location}");
        let page = browser.get(&location).await.expect(200).text();
        assert_eq!(between(&page, "name=\"next\" value=\"", "\""), path);
        // Whoever has no account yet goes on in the same way.
        assert!(page.contains(&location.replace("/login", "/register")), "{page}");
        let fields = [("username", name.as_str()), ("password", PASSWORD), ("next", path)];
        assert_eq!(browser.form("/login", &fields).await.expect(303).header("location"), path);
        // Whoever is logged in already goes straight on.
        assert_eq!(browser.get(&location).await.expect(303).header("location"), path);
    }
    for path in ["/login", "/register"] {
        for next in ["//evil.example", "https://evil.example", "/%5Cevil.example", "javascript:alert(1)"] {
            let page = world.browser().get(&format!("{path}?next={next}")).await.expect(200).text();
            let main = between(&page, "<main", "</main>");
            assert!(!main.contains("evil") && !main.contains("javascript:"), "{main}");
        }
    }
    assert_eq!(world.browser().get("/login/verify").await.expect(303).header("location"), "/login");
}

#[tokio::test]
async fn a_session_that_ended_is_told_at_the_form_and_leads_back_to_its_page() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    world.pass(3600);
    for (path, page) in [
        ("/password", "/account/security"),
        ("/totp", "/account/security"),
        ("/sessions/revoke-others", "/account/sessions"),
    ] {
        let answer = expect_page(browser.form(path, &[]).await, 401);
        assert!(answer.contains("action=\"/login\"") && answer.contains("Log in first"), "{path}: {answer}");
        assert_eq!(between(&answer, "name=\"next\" value=\"", "\""), page);
    }
}

#[tokio::test]
async fn a_hostile_name_is_shown_as_text() {
    let world = World::new().await;
    let hostile = "\"><script>alert(1)</script>";
    let mut browser = world.browser();
    let page = expect_page(browser.form("/login", &[("username", hostile), ("password", "x")]).await, 401);
    assert!(page.contains("value=\"&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;\""), "{page}");
    let fields = [("username", "ada"), ("email", hostile), ("password", PASSWORD)];
    let page = expect_page(browser.form("/register", &fields).await, 422);
    assert!(!page.contains("<script>") && page.contains("value=\"ada\""), "{page}");
}

#[tokio::test]
async fn the_heaviest_page_and_its_files_are_under_50_kilobytes() {
    let world = World::with([("HALLPASS_LIMITS__LOGIN", "100 per minute")]).await;
    let (name, browser) = world.somebody().await;
    for _ in 1..50 {
        world.browser().header("user-agent", &"<".repeat(256)).log_in(&name).await;
    }
    for language in ["en", "zh-Hant"] {
        let mut reader = reader(browser.clone()).header("accept-language", language);
        let page = expect_page(reader.get("/account/sessions").await, 200);
        assert_eq!(page.matches("<li class=\"card\">").count(), 50);
        let mut bytes = page.len();
        let files: std::collections::BTreeSet<&str> =
            page.split('"').filter(|text| text.starts_with("/assets/")).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            bytes += reader.get(file).await.expect(200).body.len();
        }
        assert!(bytes < 50_000, "{language}: {bytes}");
    }
}

#[tokio::test]
async fn a_hostile_user_agent_is_shown_as_text() {
    let world = World::new().await;
    let mut browser = world.browser().header("user-agent", "<img src=x onerror=alert(1)>");
    browser.register(&fresh_name()).await;
    let page = browser.get("/account/sessions").await.expect(200).text();
    assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;") && !page.contains("<img src=x"), "{page}");
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_but_no_secret() {
    let world = World::new().await;
    let secret = "a-canary-of-a-secret";
    let mut browser = world.browser();
    for (path, fields) in [
        ("/login", vec![("username", "ada"), ("password", secret), ("next", "/account/security")]),
        ("/register", vec![("username", "ada"), ("email", "no address"), ("password", secret)]),
        ("/login/verify", vec![("code", secret)]),
        ("/login/verify", vec![("recovery_code", secret)]),
    ] {
        let answer = browser.form(path, &fields).await;
        assert!(answer.status.is_client_error());
        let page = answer.text();
        assert!(page.contains("<form method=\"post\"") && !page.contains(secret), "{path}: {page}");
        if path != "/login/verify" {
            assert!(page.contains("value=\"ada\""), "{path}: {page}");
        }
    }
}

#[tokio::test]
async fn every_refused_form_is_shown_again_with_what_is_wrong() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let wrong = "not the password";
    for (path, fields, status, expected) in [
        ("/login", vec![("username", name.as_str()), ("password", wrong)], 401, "Wrong user name or password"),
        ("/register", vec![("username", "a"), ("password", PASSWORD)], 422, "It must have 3 to 64 characters."),
        ("/register", vec![("username", "a b c"), ("password", PASSWORD)], 422, "Only letters, digits"),
        ("/register", vec![("username", "adam"), ("password", "password")], 422, "most common passwords"),
        ("/register", vec![("username", "adam"), ("password", "short")], 422, "at least 8 characters"),
        ("/register", vec![("username", name.as_str()), ("password", PASSWORD)], 409, "Somebody has this already"),
        ("/password", vec![("current_password", wrong), ("new_password", "another good one")], 401, "Wrong password"),
        ("/password", vec![("current_password", PASSWORD), ("new_password", "short")], 422, "at least 8 characters"),
        ("/totp", vec![("password", wrong)], 401, "Wrong password"),
        ("/totp", vec![("password", PASSWORD), ("odd", "1")], 422, "<code>odd</code>"),
    ] {
        let page = expect_page(browser.form(path, &fields).await, status);
        assert!(page.contains(&format!("action=\"{path}\"")) && page.contains("role=\"alert\""), "{path}: {page}");
        assert!(page.contains(expected), "{path}: {page}");
    }
    let page = browser.form("/register", &[("username", "a"), ("password", PASSWORD)]).await.text();
    assert!(page.contains("aria-invalid=\"true\"") && page.contains("id=\"register-username-error\""), "{page}");
}

#[tokio::test]
async fn two_step_verification_is_set_up_changed_and_turned_off_by_forms_alone() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let shown = expect_page(browser.form("/totp", &[("password", PASSWORD)]).await, 200);
    let secret: String = between(&shown, "id=\"secret\">", "</code>").split(' ').collect();
    assert!(shown.contains("<svg") && shown.contains("href=\"otpauth://totp/"), "{shown}");
    let authenticator = Authenticator::scan(&secret);
    let wrong = authenticator.wrong_code(world.now());
    let again = expect_page(browser.form("/totp/confirm", &[("code", &wrong)]).await, 401);
    assert!(again.contains("action=\"/totp/confirm\"") && again.contains("Wrong code"), "{again}");
    assert!(!again.contains(&secret) && !again.contains("<svg"), "shown once: {again}");
    let first = browser.form("/totp/confirm", &[("code", &authenticator.code(world.now()))]).await;
    assert!(first.headers.contains_key("set-cookie"), "a new token");
    let first = expect_page(first, 200);
    assert!(first.contains("Two-step verification is on.") && first.matches("<li><code>").count() == 10, "{first}");
    world.pass(30);
    let codes = [("password", PASSWORD), ("code", &authenticator.code(world.now()))];
    let second = expect_page(browser.form("/recovery-codes", &codes).await, 200);
    let code = between(&second, "<li><code>", "</code>");
    assert!(!first.contains(code));
    let page = browser.get("/account/security").await.expect(200).text();
    assert!(page.contains("action=\"/totp/disable\"") && !page.contains(&secret) && !page.contains(code), "{page}");
    let mut other = world.browser();
    other.form("/login", &[("username", &name), ("password", PASSWORD)]).await.expect(303);
    let page = expect_page(other.form("/login/verify", &[("code", ""), ("recovery_code", "x")]).await, 401);
    assert!(page.contains("<details open>"), "the recovery code's form is open again: {page}");
    let off = [("password", PASSWORD), ("code", ""), ("recovery_code", code)];
    assert_eq!(browser.form("/totp/disable", &off).await.expect(303).header("location"), "/account/security");
    let page = browser.get("/account/security").await.expect(200).text();
    assert!(page.contains("Two-step verification is off") && page.contains("action=\"/totp\""), "{page}");
}

#[tokio::test]
async fn recovery_codes_are_downloaded_as_a_file_and_nothing_else_is() {
    let world = World::new().await;
    let mut browser = world.browser();
    let code = "aaaa-bbbb-cccc-dddd-eeee-ffff";
    let path = "/account/security/recovery-codes.txt";
    let answer = browser.form(path, &[("codes", &format!("{code} {code}"))]).await.expect(200);
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"recovery-codes.txt\"");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!((answer.header("cache-control"), answer.text().matches(code).count()), ("no-store", 2));
    let page = expect_page(browser.form(path, &[("codes", "<script>alert(1)</script>")]).await, 422);
    assert!(!page.contains("<script>"), "{page}");
    assert_eq!(browser.get(path).await.expect(405).header("allow"), "POST");
}

#[tokio::test]
async fn a_notice_is_shown_once() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let fields = [("current_password", PASSWORD), ("new_password", "another good password")];
    assert_eq!(browser.form("/password", &fields).await.expect(303).header("location"), "/account/security");
    assert!(browser.cookies.contains_key("__Host-notice"));
    let notice = "Your password is changed";
    assert!(browser.get("/account/security").await.text().contains(notice));
    assert!(!browser.cookies.contains_key("__Host-notice"));
    assert!(!browser.get("/account/security").await.text().contains(notice));
    browser.cookies.insert("__Host-notice".to_owned(), "<b>anything".to_owned());
    assert!(!browser.get("/account").await.text().contains("anything"));
}

#[tokio::test]
async fn pages_speak_the_readers_language_and_the_switch_is_remembered() {
    let world = World::new().await;
    for (accepted, tag, title) in
        [("zh-TW,zh;q=0.9", "zh-Hant", "登入"), ("de,en;q=0.5", "en", "Log in"), ("de", "en", "Log in")]
    {
        let answer = world.browser().header("accept-language", accepted).get("/login").await.expect(200);
        assert_eq!(answer.header("content-language"), tag);
        assert!(answer.text().contains(&format!("<html lang=\"{tag}\">")) && answer.text().contains(title));
    }
    let mut browser = world.browser();
    let fields = [("language", "zh-Hant"), ("next", "/login?next=%2Faccount")];
    assert_eq!(browser.form("/language", &fields).await.expect(303).header("location"), "/login?next=%2Faccount");
    let page = expect_page(browser.form("/login", &[("username", "ada"), ("password", "x")]).await, 401);
    assert!(page.contains("使用者名稱或密碼錯誤"), "{page}");
    let fields = [("username", "a"), ("password", "password")];
    let page = expect_page(browser.form("/register", &fields).await, 422);
    assert!(page.contains("長度須為 3 至 64 個字元"), "{page}");
    for next in ["//evil.example", "https://evil.example"] {
        let fields = [("language", "en"), ("next", next)];
        assert_eq!(browser.form("/language", &fields).await.expect(303).header("location"), "/");
    }
    browser.form("/language", &[("language", "tlh")]).await.expect(422);
}

#[tokio::test]
async fn whoever_goes_to_an_address_gets_problems_as_pages_and_programs_get_documents() {
    let world = World::with([("HALLPASS_LIMITS__PAGES", "3 per minute")]).await;
    let page = expect_page(reader(world.browser()).get("/nowhere").await, 404);
    assert!(page.contains("There is nothing here"), "{page}");
    world.browser().get("/nowhere").await.expect_problem(404, "not-found");
    world.browser().header("accept", "*/*").get("/session").await.expect_problem(401, "session-required");
    // What is for programs stays so.
    reader(world.browser()).post("/login", serde_json::json!({})).await.expect_problem(422, "invalid-input");
    let mut browser = reader(world.browser());
    while browser.get("/login").await.status == 200 {}
    let answer = browser.get("/login").await;
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit")), ("60", r#""pages";r=0;t=60"#));
    let page = expect_page(answer, 429);
    assert!(page.contains("data-countdown=\"60\"") && page.contains("60 seconds"), "{page}");
    browser.get(between(&page, "stylesheet\" href=\"", "\"")).await.expect(200);
}

#[tokio::test]
async fn another_sites_form_gets_a_page_and_changes_nothing() {
    let world = World::new().await;
    let (_, browser) = world.somebody().await;
    let mut victim = browser.clone().header("origin", "https://evil.example");
    let request = axum::http::Request::post("/logout").header("content-type", "application/x-www-form-urlencoded");
    let page = expect_page(victim.send(request.body(axum::body::Body::empty()).unwrap()).await, 403);
    assert!(page.contains("That came from another site"), "{page}");
    assert!(browser.clone().is_logged_in().await);
}

#[tokio::test]
async fn logging_out_makes_the_browser_forget_its_pages() {
    let world = World::new().await;
    let (_, mut browser) = world.somebody().await;
    let answer = browser.form("/logout", &[]).await.expect(303);
    assert_eq!(answer.header("clear-site-data"), "\"cache\", \"storage\"");
    assert!(browser.cookies.contains_key("__Host-device"), "the device stays known");
}

#[tokio::test]
async fn password_managers_and_authenticator_apps_know_every_field() {
    let world = World::new().await;
    let (name, mut browser, ..) = world.somebody_with_totp().await;
    let mut stranger = world.browser();
    let login = stranger.get("/login").await.text();
    let register = stranger.get("/register").await.text();
    stranger.log_in(&name).await;
    let verify = stranger.get("/login/verify").await.expect(200).text();
    let security = browser.get("/account/security").await.text();
    for (page, expected) in [
        (&login, &["autocomplete='username'", "autocomplete=\"current-password\""][..]),
        (&register, &["autocomplete='username'", "autocomplete='email'", "autocomplete=\"new-password\""]),
        (&verify, &["autocomplete='one-time-code'", "inputmode='numeric'"]),
        (&security, &["autocomplete=\"new-password\"", "autocomplete=\"username\"", "autocomplete='one-time-code'"]),
    ] {
        for token in expected {
            assert!(page.contains(token), "{token}: {page}");
        }
    }
    assert_eq!([&login, &register, &verify, &security].map(|page| hidden_passwords(page)), [1, 1, 0, 4]);
}

/// How many passwords a page asks for, each hidden until a button shows it.
fn hidden_passwords(page: &str) -> usize {
    let inputs = page.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap());
    let passwords = inputs.filter(|input| input.contains("password\" type=") || input.contains("-password\""));
    let checked = passwords.map(|input| {
        let id = input.strip_prefix("id=\"").unwrap().split('"').next().unwrap();
        assert!(input.contains(" type=\"password\" "), "{input}");
        assert!(page.contains(&format!("hidden data-reveal=\"{id}\"")), "{input}");
    });
    checked.count()
}

#[tokio::test]
async fn plain_http_that_drops_cookies_is_told_where_people_would_log_in() {
    let settings = [("HALLPASS_PUBLIC_URL", "http://login.example.org")];
    let world = World::with(settings).await.in_process();
    for path in PUBLIC {
        assert!(world.browser().get(path).await.expect(200).text().contains("plain http"), "{path}");
    }
    assert!(!World::new().await.browser().get("/login").await.text().contains("plain http"));
}

#[tokio::test]
async fn pages_take_no_other_method() {
    let world = World::new().await;
    for path in PRIVATE {
        world.browser().ask(Method::PUT, path).await.expect_problem(405, "method-not-allowed");
    }
    assert_eq!(world.browser().get("/language").await.expect(405).header("allow"), "POST");
}
