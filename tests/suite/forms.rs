//! The form side, which works without any script: redirects on success, a page with the failing status otherwise.

use hallpass_tests::{PASSWORD, World, world::fresh_name};

#[tokio::test]
async fn a_form_logs_in_and_goes_on_to_the_account_page() {
    let world = World::new().await;
    let name = fresh_name();
    let mut browser = world.browser();
    let answer =
        browser.form("/register", &[("username", &name), ("password", PASSWORD), ("email", "")]).await.expect(303);
    assert_eq!(answer.header("location"), "/account");
    assert!(browser.is_logged_in().await);
    assert_eq!(browser.form("/logout", &[]).await.expect(303).header("location"), "/");
    assert!(!browser.is_logged_in().await);
    let answer = browser.form("/login", &[("username", &name), ("password", PASSWORD)]).await.expect(303);
    assert_eq!((answer.header("location"), answer.body.len()), ("/account", 0));
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_form_goes_through_the_second_step_and_back_to_where_it_came_from() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    let fields = [("username", name.as_str()), ("password", PASSWORD), ("next", "/account/sessions?x=1")];
    assert_eq!(browser.form("/login", &fields).await.expect(303).header("location"), "/login/verify");
    let code = authenticator.code(world.now());
    let answer = browser.form("/login/verify", &[("code", &code), ("recovery_code", "")]).await.expect(303);
    assert_eq!(answer.header("location"), "/account/sessions?x=1");
    assert!(browser.is_logged_in().await);
}

#[tokio::test]
async fn a_second_step_by_a_form_that_came_from_nowhere_goes_on_to_the_account_page() {
    let world = World::new().await;
    let (name, _, authenticator, _) = world.somebody_with_totp().await;
    let mut browser = world.browser();
    browser.form("/login", &[("username", &name), ("password", PASSWORD)]).await.expect(303);
    let code = authenticator.code(world.now());
    let answer = browser.form("/login/verify", &[("code", &code)]).await.expect(303);
    assert_eq!(answer.header("location"), "/account");
}

#[tokio::test]
async fn a_form_that_fails_keeps_its_status_and_says_why_on_a_page() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    for (path, fields, status, expected) in [
        (
            "/login",
            vec![("username", name.as_str()), ("password", "not the password")],
            401,
            "Wrong user name or password",
        ),
        ("/login/verify", vec![("code", "123456")], 401, "Log in again"),
        ("/register", vec![("username", name.as_str()), ("password", PASSWORD)], 409, "Already taken"),
        ("/register", vec![("username", "a"), ("password", PASSWORD)], 422, "3 to 64 characters"),
        ("/password", vec![("current_password", PASSWORD), ("new_password", "short")], 422, "at least 8 characters"),
        ("/totp/confirm", vec![("code", "123456")], 409, "Start the set-up again"),
        ("/sessions/AAAA/revoke", vec![], 404, "There is nothing here"),
    ] {
        let answer = browser.form(path, &fields).await.expect(status);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert!(answer.text().contains(expected) && answer.text().contains("href=\"/"), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_form_over_its_limit_keeps_the_headers_of_the_limit() {
    let world = World::with([("HALLPASS_LIMITS__LOGIN", "1 per minute")]).await;
    let mut browser = world.browser();
    browser.form("/login", &[("username", "nobody"), ("password", "x")]).await.expect(401);
    let answer = browser.form("/login", &[("username", "nobody"), ("password", "x")]).await.expect(429);
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit")), ("60", r#""login";r=0;t=60"#));
    assert!(answer.text().contains("60 seconds"));
}

#[tokio::test]
async fn what_a_form_sends_is_shown_as_text() {
    let world = World::new().await;
    let answer = world.browser().form("/login", &[("<script>alert(1)</script>", "x")]).await.expect(422);
    assert!(!answer.text().contains("<script>") && answer.text().contains("script"), "{}", answer.text());
}

#[tokio::test]
async fn next_leads_only_to_paths_of_ours() {
    let world = World::with([("HALLPASS_LIMITS__LOGIN", "1000 per minute")]).await;
    let (name, browser) = world.somebody().await;
    let corpus = [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "http:evil.example",
        "https:/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "evil.example",
        "",
        "/a\r\nSet-Cookie: x=y",
        "/é",
        "/\u{2028}",
        "@evil.example",
        "/ /evil.example",
        "/%09/evil.example",
        "/%2f/evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "/a//b",
        "/?next=//evil.example",
        "/#//evil.example",
    ];
    let base = url::Url::parse("https://login.example.org/login").unwrap();
    for next in corpus {
        let new = fresh_name();
        for (mut browser, path, name) in
            [(browser.private_window(), "/login", &name), (world.browser(), "/register", &new)]
        {
            let form = [("username", name.as_str()), ("password", PASSWORD), ("next", next)];
            let answer = browser.form(path, &form).await.expect(303);
            let location = answer.header("location");
            assert_eq!(base.join(location).unwrap().origin(), base.origin(), "{path}: {next:?} leads to {location}");
        }
    }
}

#[tokio::test]
async fn every_form_that_a_page_needs_is_there() {
    let world = World::new().await;
    let (name, mut browser) = world.somebody().await;
    let mut other = world.browser();
    let id = other.log_in(&name).await.value()["session"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        browser.form(&format!("/sessions/{id}/revoke"), &[]).await.expect(303).header("location"),
        "/account/sessions"
    );
    assert!(!other.is_logged_in().await);
    assert_eq!(browser.form("/sessions/revoke-others", &[]).await.expect(303).header("location"), "/account/sessions");
    assert_eq!(
        browser
            .form("/password", &[("current_password", PASSWORD), ("new_password", "another good password")])
            .await
            .expect(303)
            .header("location"),
        "/account/security"
    );
    assert!(browser.is_logged_in().await);
    let shown = browser.form("/totp", &[("password", "another good password")]).await.expect(200);
    assert!(shown.text().contains("otpauth://totp/"), "{}", shown.text());
}
