//! What a text would look like where it must not be.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// The ways to write these bytes that somebody could come upon: as they are, without dashes, in hex, Base64 and percents.
#[must_use]
pub fn forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = vec![HEXLOWER.encode(bytes), HEXUPPER.encode(bytes), percents(bytes)];
    // A group that isn't full is written in another way where more follows.
    let groups = &bytes[..bytes.len() / 3 * 3];
    forms.extend([BASE64.encode(groups), BASE64URL_NOPAD.encode(groups)]);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let in_a_form: String = url::form_urlencoded::byte_serialize(bytes).collect();
        forms.extend([in_a_form.replace('+', "%20"), in_a_form, text.replace('-', ""), text.to_owned()]);
    }
    forms
}

/// The bytes behind a text in Base64, such as a key.
#[must_use]
pub fn from_base64(text: &str) -> Vec<u8> {
    BASE64.decode(text.as_bytes()).unwrap()
}

fn percents(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}
