use super::*;

fn read<const N: usize>(vars: [(&str, &str); N]) -> Result<Settings, String> {
    Settings::read(&Vars::from(vars), None).map_err(|error| error.to_string())
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let settings = read([("PATH", "/bin")]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(settings.public_url.origin(), "http://localhost:5000");
    assert_eq!((settings.session.idle, settings.session.lifetime), (Span::hours(1), Span::hours(24)));
    let guesses = ("10 per minute; 100 per day", false);
    let reads = ("600 per minute", false);
    let by_route = ("50 per hour; 200 per day", true);
    for function in Function::ALL {
        let expected = match function {
            Function::Register => ("10 per hour", false),
            Function::Resource => ("10 per minute", false),
            Function::Login | Function::Verify => guesses,
            Function::Session | Function::Sessions | Function::Authz | Function::Pages => reads,
            Function::Logout | Function::Password | Function::Totp | Function::RecoveryCodes | Function::Docs => {
                by_route
            }
        };
        let limit = settings.limits.of(*function).map(|limit| (limit.policy.to_string(), limit.is_by_route));
        assert_eq!(limit, Some((expected.0.to_owned(), expected.1)), "{}", function.name());
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "issuer = 'UniversityApp'\ntrusted_proxies = ['10.0.0.0/8', '::1']\n[session]\nidle = '30m'\nmax_per_user = 3\n[limits]\ndefault = 'off'";
    let vars = Vars::from([
        ("HALLPASS_SESSION__IDLE", "5m"),
        ("HALLPASS_PASSWORD__ITERATIONS", "3"),
        ("HALLPASS_LIMITS__RECOVERY_CODES", "5 per day"),
    ]);
    let settings = Settings::read(&vars, Some(file)).unwrap();
    assert_eq!(settings.issuer.as_str(), "UniversityApp");
    assert_eq!(settings.session.idle, Span::seconds(300));
    assert_eq!((settings.session.max_per_user, settings.password.iterations), (3, 3));
    assert!(
        settings.trusted_proxies.contains("10.1.2.3".parse().unwrap())
            && settings.trusted_proxies.contains("::1".parse().unwrap())
    );
    assert_eq!(settings.limits.of(Function::Logout), None);
    assert_eq!(settings.limits.of(Function::RecoveryCodes).unwrap().policy.to_string(), "5 per day");
}

#[test]
fn a_logo_is_a_path_of_ours_or_an_https_address() {
    let logo = |text| read([("HALLPASS_PAGES__LOGO_URL", text)]).unwrap().pages.logo_url;
    assert_eq!(logo("").href(), None);
    assert_eq!((logo("/logo.svg").href().unwrap(), logo("/logo.svg").foreign_origin()), ("/logo.svg".to_owned(), None));
    assert_eq!(logo("https://cdn.example.org/a.svg?v=1").foreign_origin().unwrap(), "https://cdn.example.org");
}

#[test]
fn a_wrong_or_unknown_setting_is_named_in_one_line() {
    for (name, value, expected) in [
        ("HALLPASS_LISTEN", "5000", "HALLPASS_LISTEN: "),
        ("HALLPASS_LISTNE", "127.0.0.1:1", "HALLPASS_LISTNE: no such setting"),
        ("HALLPASS_SESSION__IDEL", "1h", "HALLPASS_SESSION__IDEL: no such setting"),
        ("HALLPASS_SESSION__IDLE__X", "1h", "HALLPASS_SESSION__IDLE"),
        ("HALLPASS_SESSION", "1h", "HALLPASS_SESSION: "),
        ("HALLPASS_SESSION__IDLE", "an hour", "HALLPASS_SESSION__IDLE: 'an hour' is not a length of time"),
        ("HALLPASS_SESSION__IDLE", "+5m", "HALLPASS_SESSION__IDLE: '+5m' is not a length of time"),
        ("HALLPASS_SESSION__LIFETIME", "+5d", "HALLPASS_SESSION__LIFETIME: '+5d' is not a length of time"),
        ("HALLPASS_SESSION__IDLE", "25h", "HALLPASS_SESSION__IDLE: must not be longer"),
        ("HALLPASS_SESSION__LIFETIME", "31d", "HALLPASS_SESSION__LIFETIME: must be at most 30d"),
        ("HALLPASS_SESSION__MAX_PER_USER", "0", "HALLPASS_SESSION__MAX_PER_USER: must be 1 to 90, not 0"),
        ("HALLPASS_SESSION__MAX_PER_USER", "+5", "HALLPASS_SESSION__MAX_PER_USER: "),
        ("HALLPASS_PUBLIC_URL", "ftp://example.org", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://example.org/login", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://example.org:+80", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://example.org:70000", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://example.org:", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://example.org/#login", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://example.org/?", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://@example.org", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://:443", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://127.1", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https://exämple.org", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "https:\\\\example.org", "HALLPASS_PUBLIC_URL: "),
        ("HALLPASS_PUBLIC_URL", "\u{1b}[31m\u{7}", "HALLPASS_PUBLIC_URL: '\u{fffd}[31m\u{fffd}' is not an address"),
        ("HALLPASS_ISSUER", "a:b", "HALLPASS_ISSUER: "),
        ("HALLPASS_PAGES__NAME", "", "HALLPASS_PAGES__NAME: "),
        ("HALLPASS_PAGES__ACCENT", "blue", "HALLPASS_PAGES__ACCENT: 'blue' is not a colour"),
        ("HALLPASS_PAGES__ACCENT", "#2f5bd", "HALLPASS_PAGES__ACCENT: "),
        ("HALLPASS_PAGES__LOGO_URL", "http://example.org/a.png", "HALLPASS_PAGES__LOGO_URL: "),
        ("HALLPASS_PAGES__LOGO_URL", "//example.org/a.png", "HALLPASS_PAGES__LOGO_URL: "),
        ("HALLPASS_PAGES__LOGO_URL", "https://u@example.org/a.png", "HALLPASS_PAGES__LOGO_URL: "),
        ("HALLPASS_PAGES__LOGO_URL", "https://example.org;script-src/a.png", "HALLPASS_PAGES__LOGO_URL: "),
        ("HALLPASS_PAGES__LOGO_URL", "javascript:alert(1)", "HALLPASS_PAGES__LOGO_URL: "),
        ("HALLPASS_STORE", "redis", "HALLPASS_STORE: "),
        ("HALLPASS_TABLE_PREFIX", "a b", "HALLPASS_TABLE_PREFIX: "),
        ("HALLPASS_TRUSTED_PROXIES", "10.0.0.0/33", "HALLPASS_TRUSTED_PROXIES: "),
        ("HALLPASS_LIMITS__LOGIN", "off", "HALLPASS_LIMITS__LOGIN: must not be off"),
        ("HALLPASS_LIMITS__REGISTER", "off", "HALLPASS_LIMITS__REGISTER: must not be off"),
        ("HALLPASS_LIMITS__VERIFY", "off", "HALLPASS_LIMITS__VERIFY: must not be off"),
        ("HALLPASS_LIMITS__PASSWORD", "off", "HALLPASS_LIMITS__PASSWORD: must not be off"),
        ("HALLPASS_LIMITS__RESOURCE", "often", "HALLPASS_LIMITS__RESOURCE: 'often' is not a limit"),
        ("HALLPASS_LIMITS__LOGINS", "1 per day", "HALLPASS_LIMITS__LOGINS: no such setting"),
        ("HALLPASS_METRICS_LISTEN", "9090", "HALLPASS_METRICS_LISTEN: "),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "off", "HALLPASS_GUARD__LIMITS__ORDERS: 'off' is not a limit"),
        ("HALLPASS_GUARD__LIMITS__LOGIN", "1 per day", "HALLPASS_GUARD__LIMITS"),
        ("HALLPASS_GUARD__LIMITS__OR-DERS", "1 per day", "HALLPASS_GUARD__LIMITS"),
        ("HALLPASS_GUARD__LEVEL", "aal2", "HALLPASS_GUARD__LEVEL: no such setting"),
        ("HALLPASS_TOTP__DRIFT_STEPS", "3", "HALLPASS_TOTP__DRIFT_STEPS: must be 0 to 2"),
        ("HALLPASS_TOTP__DRIFT_STEPS", "one", "HALLPASS_TOTP__DRIFT_STEPS: "),
        ("HALLPASS_PASSWORD__MIN_LENGTH", "7", "HALLPASS_PASSWORD__MIN_LENGTH: must be 8 to 64"),
        ("HALLPASS_PASSWORD__MEMORY_KIB", "99999999", "HALLPASS_PASSWORD__MEMORY_KIB: "),
        ("HALLPASS_password__memory_kib", "19456", "HALLPASS_password__memory_kib: no such setting"),
    ] {
        let error = read([(name, value)]).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains('\n'), "{name}={value}: {error}");
    }
}

#[test]
fn a_lifetime_alone_shortens_the_inactivity_timeout_that_nobody_has_set() {
    let half_an_hour = ("HALLPASS_SESSION__LIFETIME", "30m");
    for (lifetime, idle) in
        [(half_an_hour, Span::seconds(1800)), (("HALLPASS_SESSION__LIFETIME", "2h"), Span::hours(1))]
    {
        assert_eq!(read([lifetime]).unwrap().session.idle, idle);
    }
    let error = read([half_an_hour, ("HALLPASS_SESSION__IDLE", "1h")]).unwrap_err();
    assert_eq!(error, "HALLPASS_SESSION__IDLE: must not be longer than session.lifetime");
}

#[test]
fn what_kubernetes_says_of_a_service_called_hallpass_is_no_setting() {
    let links = [
        ("HALLPASS_SERVICE_HOST", "10.0.0.1"),
        ("HALLPASS_SERVICE_PORT_HTTP", "80"),
        ("HALLPASS_PORT", "tcp://10.0.0.1:80"),
        ("HALLPASS_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HALLPASS_METRICS_SERVICE_HOST", "10.0.0.1"),
    ];
    assert!(read(links).is_ok());
    for (name, value) in [("HALLPASS_PORT", "8080"), ("HALLPASS_SERVICE_NAME", "x"), ("HALLPASS_PORT_NUMBER", "1")] {
        assert!(read([(name, value)]).is_err(), "somebody means something by {name}");
    }
}

#[test]
fn a_wrong_file_is_named() {
    for (file, expected) in [
        ("listen = ", "HALLPASS_CONFIG: "),
        ("[sesion]\nidle = '1h'", "HALLPASS_SESION: no such setting"),
        ("[session]\nidle = 5", "HALLPASS_SESSION__IDLE: "),
    ] {
        let error = Settings::read(&Vars::default(), Some(file)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{file}: {error}");
    }
}

#[test]
fn a_cost_below_owasps_floor_is_only_for_ones_own_machine() {
    assert!(read([("HALLPASS_PASSWORD__MEMORY_KIB", "8192")]).is_ok());
    let public = ("HALLPASS_PUBLIC_URL", "https://login.example.org");
    let error = read([public, ("HALLPASS_PASSWORD__MEMORY_KIB", "8192")]).unwrap_err();
    assert!(error.starts_with("HALLPASS_PASSWORD__MEMORY_KIB: is too cheap"), "{error}");
    assert!(read([public, ("HALLPASS_PASSWORD__MEMORY_KIB", "12288"), ("HALLPASS_PASSWORD__ITERATIONS", "3")]).is_ok());
}

#[test]
fn off_for_the_rest_leaves_the_guessing_functions_limited() {
    let settings = read([("HALLPASS_LIMITS__DEFAULT", "off")]).unwrap();
    assert!(settings.limits.of(Function::Password).is_some());
    assert_eq!(settings.limits.of(Function::Totp), None);
}

#[test]
fn what_is_in_force_can_be_read_back() {
    let settings = read([
        ("HALLPASS_SESSION__IDLE", "90s"),
        ("HALLPASS_LIMITS__LOGIN", "5 per hour"),
        ("HALLPASS_GUARD__LIMITS__ORDERS", "20 per minute"),
        ("HALLPASS_METRICS_LISTEN", "127.0.0.1:9090"),
    ])
    .unwrap();
    assert_eq!(settings.guard.limits[&"orders".parse().unwrap()].to_string(), "20 per minute");
    let text = settings.to_toml();
    let again = Settings::read(&Vars::default(), Some(&text)).unwrap();
    assert_eq!(again.to_toml(), text);
}
