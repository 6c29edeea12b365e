//! Names, codes, tokens, keys: what people and programs prove themselves with.

use hallpass_core::{
    accounts::{email::Email, username::Username},
    http::reply::local_path,
    keyset::KeySet,
    second_factor::{recovery::RecoveryCode, totp::TotpCode},
    sessions::token::{ForLogin, ForSession, Id, Token},
};
use proptest::{prelude::*, test_runner::Config};
use url::Url;

use crate::{config, near};

const CODES: &[&str] = &["123456", "12", "3 4", " ", "\u{a0}", "\u{ff11}", "\u{0661}", "+", "-", "0", "\t"];
const NAMES: &[&str] =
    &["ada", "ADA", "\u{ff41}", "\u{130}", "\u{df}", "\u{2160}", "\u{200b}", "-", "@", ".", " ", "\u{301}"];
const ADDRESSES: &[&str] =
    &["ada", "@", ".", "example.org", "EXAMPLE", "-", "xn--", "..", "127.0.0.1", " ", "\"", "<", "\r\n"];
const TOKENS: &[&str] = &["A", "_", "-", "=", "+", "/", " ", "\n"];
const PATHS: &[&str] =
    &["/", "//", "\\", "/account", "https:", "@", "evil.example", "%2f", "\t", "\n", "?", "#", "..", ":"];
const KEYS: &[&str] = &["#", "\n", "\r\n", "=", "QUI=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", " ", "A"];

/// Whether it is a token; if so, it is written back as it was read, and so is its id.
fn has_one_spelling<Kind: PartialEq>(typed: &str) -> Result<bool, TestCaseError> {
    let Some(token) = Token::<Kind>::parse(typed) else {
        return Ok(false);
    };
    let revealed = token.reveal();
    prop_assert_eq!(revealed.as_str(), typed);
    prop_assert_eq!(Id::parse(&token.id().to_string()), Some(token.id()));
    Ok(true)
}

properties! {
    config(), trial;

    #[test]
    fn a_code_is_six_ascii_digits_and_spaces(text in near("[0-9]{3} ?[0-9]{3} ?", CODES)) {
        let digits: String = text.chars().filter(|c| *c != ' ').collect();
        let is_code = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let code = TotpCode::parse(&text);
        prop_assert_eq!(code.is_some(), is_code);
        code.iter().for_each(|_| trial.accept());
    }

    #[test]
    fn all_spellings_of_a_recovery_code_are_one(text in "[ -~]{20,40}", bytes in any::<[u8; 15]>()) {
        let written = data_encoding::BASE32_NOPAD.encode(&bytes);
        for typed in [text, written.clone(), written.to_lowercase(), format!(" {}-{} ", &written[..7], &written[7..])] {
            if let Some(code) = RecoveryCode::parse(&typed) {
                trial.accept();
                let again = RecoveryCode::parse(&code.reveal()).unwrap();
                prop_assert_eq!(code.reveal(), again.reveal());
            }
        }
        prop_assert_eq!(
            RecoveryCode::parse(&written).map(|code| code.reveal()),
            RecoveryCode::parse(&written.to_lowercase()).map(|code| code.reveal())
        );
    }

    #[test]
    fn a_token_and_an_id_have_one_spelling(text in near("[A-Za-z0-9_-]{64}", TOKENS)) {
        if has_one_spelling::<ForSession>(&text)? {
            trial.accept();
        }
    }

    #[test]
    fn a_pending_logins_token_and_its_id_have_one_spelling(text in near("[A-Za-z0-9_-]{64}", TOKENS)) {
        if has_one_spelling::<ForLogin>(&text)? {
            trial.accept();
        }
    }

    #[test]
    fn a_folded_name_folds_to_itself(text in near("[a-z]{3,12}", NAMES)) {
        if let Ok(name) = Username::parse(&text) {
            trial.accept();
            let again = Username::parse(name.folded());
            prop_assert_eq!(again.map(|again| again.folded().to_owned()), Ok(name.folded().to_owned()));
            prop_assert!(!name.typed().chars().any(char::is_control));
        }
    }

    #[test]
    fn an_address_is_one_name_at_one_host(
        text in near("[A-Za-z.+]{1,8}@([A-Za-z0-9-]{1,6}\\.){1,2}[a-z]{2,5}", ADDRESSES),
    ) {
        if let Ok(email) = Email::parse(&text) {
            trial.accept();
            let written = email.as_str();
            prop_assert!(written.is_ascii() && written.matches('@').count() == 1 && !written.contains(char::is_whitespace));
            let (_, domain) = written.split_once('@').unwrap();
            let host = Url::parse(&format!("https://{domain}/")).unwrap();
            prop_assert_eq!(host.host_str().map(str::to_owned), Some(domain.to_ascii_lowercase()));
            prop_assert_eq!(Email::parse(&email.folded()).unwrap().folded(), email.folded());
        }
    }

    #[test]
    fn a_key_file_is_whole_keys_or_none(
        text in near("(# keys\n)?([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\r?\n){1,2}", KEYS),
    ) {
        if let Ok(keys) = KeySet::parse(&text) {
            trial.accept();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            prop_assert_eq!(keys.iter().count(), lines.inspect(|line| assert_eq!(line.len(), 44)).count());
        }
    }
}

/// At least as many as attack 5.29 asks for, and as many as are asked for otherwise.
fn config_for_ways_back() -> Config {
    let config = config();
    Config { cases: config.cases.max(2000), ..config }
}

properties! {
    config_for_ways_back(), trial;

    #[test]
    fn a_way_back_stays_on_our_origin(text in near("(/[a-z]{1,6}){1,3}(\\?[a-z]=[a-z])?", PATHS)) {
        if let Some(path) = local_path(&text) {
            trial.accept();
            let base = Url::parse("https://login.example.org/account").unwrap();
            prop_assert_eq!(base.join(path).unwrap().origin(), base.origin());
        }
    }
}
