//! Settings and limits.

use hallpass_core::{
    config::{Settings, SettingsError, TrustedProxies, Vars},
    rate_limit::policy::{Policy, Window},
};
use proptest::{prelude::*, sample::select};
use url::Url;

use crate::{config, list_of, near, text_of};

const LIMITS: &[&str] =
    &["10", "1", " per ", "/", "minute", "hour", "days", "s", ";", ",", " ", "+", "-", "0", "99999999999", "5 "];
const WRITTEN_LIMITS: &str = "[1-9][0-9]{0,3}( per |/)[1-9]? ?(second|minute|hour|day)(; [1-9] per 2 days)?";
const URLS: &[&str] = &[
    "https://",
    "http://",
    "login.example.org",
    "localhost",
    "127.0.0.1",
    "127.1",
    "[::1]",
    ":443",
    ":+80",
    ":",
    "/",
    "#",
    "?",
    "@",
    "\\",
];
const NETWORKS: &[&str] = &["10.0.0.0", "/8", "/33", "::1", ",", " ", "2001:db8::", "/64", "x"];
const NAMES: &[&str] = &[
    "HALLPASS_PUBLIC_URL",
    "HALLPASS_ISSUER",
    "HALLPASS_SESSION__IDLE",
    "HALLPASS_SESSION__MAX_PER_USER",
    "HALLPASS_LIMITS__LOGIN",
    "HALLPASS_GUARD__LIMITS__ORDERS",
    "HALLPASS_TRUSTED_PROXIES",
    "HALLPASS_PASSWORD__MEMORY_KIB",
    "HALLPASS_PAGES__ACCENT",
    "HALLPASS_PAGES__LOGO_URL",
    "HALLPASS_TOTP__DRIFT_STEPS",
    "HALLPASS_LISTEN",
];

const WORDS: &[&str] = &[
    "HALLPASS_",
    "SESSION",
    "IDLE",
    "LIMITS",
    "GUARD",
    "LOGIN",
    "ORDERS",
    "__",
    "_",
    "_PORT",
    "80",
    "TCP",
    "idle",
    ".",
];
const LINES: &[&str] = &[
    "issuer = 'a b'",
    "session.idle = '90s'",
    "limits.login = '5 per hour'",
    "guard.limits.orders = '20 per minute'",
    "public_url = 'https://login.example.org'",
    "totp = { drift_steps = 0 }",
    "[password]",
    "min_length = '15'",
    "session.idle = \"a\\n\\u001b[31m\"",
    "\"a\\n\\u0007\" = 1",
    "# x",
];
const FILE: &[&str] = &[
    "[session]\n",
    "[limits]\n",
    "[guard.limits]\n",
    "[[session]]\n",
    "idle = '90s'\n",
    "idle = ",
    "login = '5 per hour'\n",
    "orders = \"20 per minute\"\n",
    "public_url = 'https://login.example.org'\n",
    "limits.login",
    "session = {",
    "}",
    "[",
    "]",
    "=",
    "'",
    "\"",
    "'''",
    "\\u0007",
    "\n",
    "\r\n",
    "#",
    "1",
    "1e999",
    "true",
    "1979-05-27",
    "-0",
    ".",
    ",",
];

/// One line that names the setting, or the file.
fn is_told_in_one_line(error: &SettingsError) -> Result<(), TestCaseError> {
    let line = error.to_string();
    let names_it = line.starts_with("HALLPASS_") || line.starts_with("settings: ");
    prop_assert!(names_it && !line.contains(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c)), "{:?}", line);
    Ok(())
}

properties! {
    config(), trial;

    #[test]
    fn a_limit_is_written_as_it_was_read(text in near(WRITTEN_LIMITS, LIMITS)) {
        if let Ok(policy) = text.parse::<Policy>() {
            trial.accept();
            prop_assert!((1..=Policy::WINDOWS_MAX).contains(&policy.windows().len()));
            for window in policy.windows() {
                prop_assert!((1..=Window::LARGEST_QUOTA).contains(&window.quota));
                prop_assert!((1..=Window::LONGEST_SECONDS).contains(&window.seconds));
            }
            prop_assert_eq!(policy.to_string().parse::<Policy>(), Ok(policy));
            prop_assert!(!text.contains(['+', '-']));
        }
    }

    #[test]
    fn a_public_url_is_an_origin_as_a_browser_writes_it(
        text in near("https?://([a-zA-Z0-9]{1,6}\\.){0,2}[a-z]{2,6}(:[0-9]{1,5})?/?", URLS),
    ) {
        if let Ok(settings) = Settings::read(&Vars::from([("HALLPASS_PUBLIC_URL", text.as_str())]), None) {
            trial.accept();
            let origin = settings.public_url.origin();
            prop_assert_eq!(Url::parse(origin).unwrap().origin().ascii_serialization(), origin);
            prop_assert!(text.trim().to_ascii_lowercase().starts_with(origin), "{} of {}", origin, text);
        }
    }

    #[test]
    fn networks_are_read_or_refused(text in near("10\\.[0-9]\\.0\\.0/(16|24)(, ?2001:db8::/(32|64))?", NETWORKS)) {
        if let Ok(networks) = text.parse::<TrustedProxies>()
            && text.split(',').any(|part| !part.trim().is_empty())
        {
            trial.accept();
            prop_assert!(!networks.contains("203.0.113.77".parse().unwrap()));
        }
    }

    #[test]
    fn a_setting_that_can_not_be_used_is_told_in_one_line(name in select(NAMES), text in text_of(LIMITS)) {
        if let Err(error) = Settings::read(&Vars::from([(name, text.as_str())]), None) {
            trial.accept();
            is_told_in_one_line(&error)?;
        }
    }

    #[test]
    fn any_file_under_any_variables_is_settings_or_one_line(
        file in prop_oneof![list_of(LINES, "\n"), text_of(FILE)],
        known in select(NAMES),
        value in text_of(LIMITS),
        unknown in text_of(WORDS),
        another in text_of(URLS),
    ) {
        let (known, unknown) = ((known, value.as_str()), (unknown.as_str(), another.as_str()));
        for vars in [Vars::default(), Vars::from([known]), Vars::from([known, unknown])] {
            match Settings::read(&vars, Some(&file)) {
                Ok(settings) => {
                    trial.accept();
                    let text = settings.to_toml();
                    let again = Settings::read(&Vars::default(), Some(&text)).map(|again| again.to_toml());
                    prop_assert_eq!(again, Ok(text));
                }
                Err(error) => is_told_in_one_line(&error)?,
            }
        }
    }
}
