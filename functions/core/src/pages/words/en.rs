//! English.

use super::{Unit, Words, in_units};
use crate::{
    accounts::{email::EmailError, password::PasswordTooLong, password::WeakPassword, username::UsernameError},
    http::{problem::Kind, reason::Reason},
    sessions::session::{Level, Method},
};

pub(crate) const WORDS: Words = Words {
    tag: "en",
    ranges: &["en"],
    own_name: "English",

    skip_to_content: "Skip to content",
    navigation: "Your account",
    language: "Language",
    account: "Account",
    security: "Security",
    sessions: "Sessions",
    log_in: "Log in",
    log_out: "Log out",
    register: "Create an account",
    insecure: "This service is set up for plain http. Browsers drop its cookies, so nobody stays logged in: put TLS in front of it.",

    home_title: "One login, kept safe",
    home_lead: "This is where you log in, protect your account with a second step, and see where you are logged in.",
    home_points: [
        ("Two-step verification", "With any authenticator app. A stolen password alone opens nothing."),
        ("Sessions you can see", "Every device, its address and its last use. End any of them at once."),
        ("Guessing doesn’t pay", "Wrong passwords are slowed down, without locking you out."),
    ],
    home_signed_in_as: "You are logged in as",
    home_to_account: "Go to your account",
    home_for_developers: "For developers: the API",

    login_title: "Log in",
    username: "User name",
    username_hint: "3 to 64 letters, digits or . _ - @ +",
    password: "Password",
    password_hint: |min| format!("At least {min} characters. A few random words make a good one."),
    show: "Show",
    hide: "Hide",
    email: "E-mail",
    optional: "optional",
    no_account_yet: "No account yet?",
    register_title: "Create an account",
    have_account: "Have an account already?",
    verify_title: "Second step",
    verify_lead: "Open your authenticator app and type the code it shows for this account.",
    code: "Six-digit code",
    code_hint: "It changes every 30 seconds and works once.",
    verify_button: "Continue",
    lost_authenticator: "No authenticator at hand?",
    recovery_code: "Recovery code",
    recovery_code_hint: "One of the ten codes you saved; it is used up by this.",
    use_recovery_code: "Use recovery code",
    start_over: "Start over",

    account_title: "Your account",
    member_since: "Member since",
    two_step: "Two-step verification",
    is_on: "On",
    is_off: "Off",
    this_session: "This session",
    session_began: "Logged in",
    session_ends: "Ends",
    session_ends_hint: "or earlier, if you don’t use it",
    logged_in_with: "With",
    methods: |methods| match Level::of(methods) {
        Level::Aal1 => match methods.contains(&Method::Otp) {
            true => "a one-time code",
            false => "your password",
        },
        Level::Aal2 => "your password and a second step",
    },
    advice_title: "Add a second step",
    advice: "Your account is protected by a password alone. With a code from your phone, a stolen password opens nothing.",
    turn_on_two_step: "Turn on two-step verification",
    manage_security: "Password and two-step verification",
    see_sessions: "See where you are logged in",

    security_title: "Security",
    change_password: "Change password",
    change_password_lead: "You stay logged in here; every other session ends.",
    current_password: "Current password",
    new_password: "New password",
    two_step_off_lead: "Besides your password, logging in will ask for a code from an authenticator app on your phone.",
    two_step_on_lead: "Logging in asks for your password and a code from your authenticator app.",
    set_up_two_step: "Set up",
    your_password: "Your password",
    new_recovery_codes: "New recovery codes",
    new_recovery_codes_lead: "Make ten new codes. The old ones stop working.",
    make_recovery_codes: "Make new codes",
    turn_off_two_step: "Turn off two-step verification",
    turn_off_lead: "Your password alone will open your account again; every other session ends.",
    code_or_recovery_code: "Give one of the two: the six-digit code, or a recovery code.",

    set_up_title: "Set up two‑step verification",
    set_up_scan: "Scan this with your authenticator app",
    set_up_scan_lead: "Any app for one-time codes will do. This is shown once, and must be confirmed within ten minutes.",
    qr_label: "QR code with the key for your authenticator app",
    open_authenticator: "Open in an app on this device",
    type_secret: "Can’t scan? Type this key instead:",
    set_up_confirm: "Type the code that the app shows",
    set_up_confirm_lead: "Two-step verification is off until you do. Every other session ends with it.",
    set_up_again_lead: "The key is in your app already; it isn’t shown again. If it isn’t there, cancel and start anew.",
    turn_on: "Turn on",
    cancel: "Cancel",
    copy: "Copy",
    copied: "Copied",

    codes_title: "Your recovery codes",
    codes_turned_on: "Two-step verification is on.",
    codes_lead: "Keep these codes where you’ll find them without your phone. Each opens your account once, in place of a code from the app. They are shown only now.",
    download: "Download",
    print: "Print",
    codes_saved: "I have saved them",
    codes_file: "Recovery codes. Each works once, in place of a code from your authenticator app.",

    sessions_title: "Where you are logged in",
    sessions_lead: "End whatever you don’t know or no longer use. If you don’t know one, change your password too.",
    current: "This session",
    unknown_device: "Unknown device",
    browser_on_system: |browser, system| format!("{browser} on {system}"),
    address: "Address",
    last_seen: "Last seen",
    began: "Logged in",
    end_session: "End session",
    end_others: "End all other sessions",
    only_session: "You are logged in nowhere else.",

    ago: |seconds| match in_units(seconds) {
        (..60, Unit::Second) => "just now".to_owned(),
        (count, unit) => format!("{} ago", counted(count, unit)),
    },
    duration: |seconds| {
        let (count, unit) = in_units(seconds);
        counted(count, unit)
    },
    retry_before: "You can try again in ",
    retry_after: ".",
    retry_now: "You can try again now.",

    registered: "Welcome! Your account is ready.",
    logged_out: "You are logged out.",
    password_changed: "Your password is changed, and every other session has ended.",
    two_step_turned_off: "Two-step verification is off, and every other session has ended.",
    session_ended: "The session has ended.",
    sessions_ended: "Every other session has ended.",

    wrong_password: ("Wrong password", "Nothing was changed. Please try again."),
    check_fields: "Please check what is marked below.",
    try_again: "Try again",
    back: "Back",
    to_start: "To the start page",
    problem,
    reason,
};

fn counted(count: i64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Second => "second",
        Unit::Minute => "minute",
        Unit::Hour => "hour",
        Unit::Day => "day",
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn problem(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::InvalidCredentials => (
            "Wrong user name or password",
            "Check both and try again. After very many wrong guesses an account answers only to devices that have logged in before.",
        ),
        Kind::InvalidCode => {
            ("Wrong code", "The code is wrong or was used before. Wait for the next one, and check your phone’s clock.")
        }
        Kind::LoginExpired => {
            ("Log in again", "The login took too long or had too many wrong codes. Please start with your password.")
        }
        Kind::SessionRequired => ("Log in first", "You are not logged in, or your session has ended."),
        Kind::WeakPassword => ("Choose another password", "This one would be easy to guess."),
        Kind::UsernameTaken => ("Already taken", "Somebody has that name or address."),
        Kind::InvalidInput => ("Something is missing or wrong", "Please check what you typed."),
        Kind::CrossOrigin => (
            "That came from another site",
            "Another site tried to change something here in your name. Nothing was changed.",
        ),
        Kind::NotFound => ("There is nothing here", "The address is wrong, or what was here is gone."),
        Kind::TotpAlreadyEnabled => ("It is on already", "Turn two-step verification off first to set it up anew."),
        Kind::TotpNotStarted => ("Start the set-up again", "It lasts ten minutes and ten wrong codes."),
        Kind::TotpNotEnabled => ("It is off", "Turn two-step verification on first."),
        Kind::ChangedMeanwhile => {
            ("Something changed meanwhile", "Another request changed your account first. Look again and retry.")
        }
        Kind::RateLimited => ("Too many tries", "To keep guessing slow, only so many tries are taken at a time."),
        Kind::Unavailable => (
            "Not available right now",
            "We are busy or cut off from our records. If you just sent something, look whether it was done before you send it again.",
        ),
        Kind::Internal => ("Something went wrong", "It was our fault and has been noted."),
        Kind::MethodNotAllowed => ("That doesn’t work here", "This address is for something else."),
        Kind::RequestTimeout => ("That took too long", "Your request didn’t arrive in time. Please try again."),
        Kind::BodyTooLarge => ("That is too much", "At most 64 KiB are taken."),
        Kind::UnsupportedMediaType | Kind::MalformedRequest | Kind::AmbiguousCredentials => {
            ("We couldn’t read that", "The request was not one that our pages send.")
        }
        Kind::SecondFactorRequired => ("A second step is needed", "This needs a login with two-step verification."),
    }
}

fn reason(reason: Reason) -> String {
    match reason {
        Reason::Missing | Reason::NoSecondStep => "Please fill this in.",
        Reason::Unknown | Reason::Repeated | Reason::WrongType | Reason::NoObject => {
            "The page didn’t send what we expected; please reload it."
        }
        Reason::Taken => "Somebody has this already; please choose another.",
        Reason::TwoSecondSteps => "Please give one of the two, not both.",
        Reason::NoSuchLanguage => "The pages don’t speak that language.",
        Reason::NoRecoveryCode => "That is no recovery code.",
        Reason::Username(UsernameError::Length) => "It must have 3 to 64 characters.",
        Reason::Username(UsernameError::Character) => "Only letters, digits and . _ - @ + are possible.",
        Reason::Email(EmailError) => "That is no e-mail address we can use, such as ada@example.org.",
        Reason::TooLong(PasswordTooLong) => "It can have 256 characters at most.",
        Reason::Weak(WeakPassword::TooShort { min_chars }) => {
            return format!("It must have at least {min_chars} characters.");
        }
        Reason::Weak(WeakPassword::Common) => "It is among the most common passwords, the first that a thief tries.",
        Reason::Weak(WeakPassword::Contextual) => {
            "It must not be your user name, your address or the name of this service."
        }
    }
    .to_owned()
}
