//! Names, codes, tokens, keys: what people and programs prove themselves with.

use hallpass_core::{
    accounts::{email::Email, username::Username},
    http::reply::local_path,
    keyset::KeySet,
    second_factor::{recovery::RecoveryCode, totp::TotpCode},
    sessions::token::{SessionId, SessionToken},
};
use proptest::prelude::*;
use url::Url;

use crate::{config, text_of};

const CODES: &[&str] = &["123456", "12", "3 4", " ", "\u{a0}", "\u{ff11}", "\u{0661}", "+", "-", "0", "\t"];
const NAMES: &[&str] =
    &["ada", "ADA", "\u{ff41}", "\u{130}", "\u{df}", "\u{2160}", "\u{200b}", "-", "@", ".", " ", "\u{301}"];
const ADDRESSES: &[&str] =
    &["ada", "@", ".", "example.org", "EXAMPLE", "-", "xn--", "..", "127.0.0.1", " ", "\"", "<", "\r\n"];
const PATHS: &[&str] =
    &["/", "//", "\\", "/account", "https:", "@", "evil.example", "%2f", "\t", "\n", "?", "#", "..", ":"];
const KEYS: &[&str] = &["#", "\n", "\r\n", "=", "QUI=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", " ", "A"];

properties! {
    config();

    #[test]
    fn a_code_is_six_ascii_digits_and_spaces(text in text_of(CODES)) {
        let digits: String = text.chars().filter(|c| *c != ' ').collect();
        let is_code = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        prop_assert_eq!(TotpCode::parse(&text).is_some(), is_code);
    }

    #[test]
    fn all_spellings_of_a_recovery_code_are_one(text in "[ -~]{20,40}", bytes in any::<[u8; 15]>()) {
        let written = data_encoding::BASE32_NOPAD.encode(&bytes);
        for typed in [text, written.clone(), written.to_lowercase(), format!(" {}-{} ", &written[..7], &written[7..])] {
            if let Some(code) = RecoveryCode::parse(&typed) {
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
    fn a_token_and_an_id_have_one_spelling(text in "[A-Za-z0-9_=-]{40,70}", bytes in any::<[u8; 24]>(), tail in any::<[u8; 24]>()) {
        let written = data_encoding::BASE64URL_NOPAD.encode(&[bytes, tail].concat());
        for typed in [text, written] {
            if let Some(token) = SessionToken::parse(&typed) {
                let revealed = token.reveal();
                prop_assert_eq!(revealed.as_str(), typed.as_str());
                prop_assert_eq!(SessionId::parse(&token.id().to_string()), Some(token.id()));
            }
        }
    }

    #[test]
    fn a_folded_name_folds_to_itself(text in text_of(NAMES)) {
        if let Ok(name) = Username::parse(&text) {
            let again = Username::parse(name.folded());
            prop_assert_eq!(again.map(|again| again.folded().to_owned()), Ok(name.folded().to_owned()));
            prop_assert!(!name.typed().chars().any(char::is_control));
        }
    }

    #[test]
    fn an_address_is_one_name_at_one_host(text in text_of(ADDRESSES)) {
        if let Ok(email) = Email::parse(&text) {
            let written = email.as_str();
            prop_assert!(written.is_ascii() && written.matches('@').count() == 1 && !written.contains(char::is_whitespace));
            let (_, domain) = written.split_once('@').unwrap();
            let host = Url::parse(&format!("https://{domain}/")).unwrap();
            prop_assert_eq!(host.host_str().map(str::to_owned), Some(domain.to_ascii_lowercase()));
            prop_assert_eq!(Email::parse(&email.folded()).unwrap().folded(), email.folded());
        }
    }

    #[test]
    fn a_way_back_stays_on_our_origin(text in text_of(PATHS)) {
        if let Some(path) = local_path(&text) {
            let base = Url::parse("https://login.example.org/account").unwrap();
            prop_assert_eq!(base.join(path).unwrap().origin(), base.origin());
        }
    }

    #[test]
    fn a_key_file_is_whole_keys_or_none(text in text_of(KEYS)) {
        if let Ok(keys) = KeySet::parse(&text) {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            prop_assert_eq!(keys.iter().count(), lines.inspect(|line| assert_eq!(line.len(), 44)).count());
        }
    }
}
