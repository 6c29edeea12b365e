//! User names: one account for all spellings that look and read the same.

use std::{borrow::Cow, fmt};

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_security::GeneralSecurityProfile;

/// A user name: as typed, for display, and as folded, for finding and comparing it.
///
/// 3 to 64 letters, digits, `.`, `_`, `-`, `@` or `+` after trimming, NFKC and case folding; unique in that form.
#[derive(Clone, PartialEq, Eq)]
pub struct Username {
    typed: String,
    folded: String,
}

/// Why a text is not a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// Shorter than [`Username::MIN_CHARS`] or longer than [`Username::MAX_CHARS`] when folded.
    #[error("must be 3 to 64 characters")]
    Length,
    /// A character that is neither a letter, a digit nor one of `._-@+`.
    #[error("may hold only letters, digits, '.', '_', '-', '@' and '+'")]
    Character,
}

impl Username {
    /// The shortest name, in characters of the folded form.
    pub const MIN_CHARS: usize = 3;
    /// The longest name, in characters of the folded form.
    pub const MAX_CHARS: usize = 64;
    /// Longer input is refused before it is normalized: NFKC can grow a text 18 times (Django CVE-2023-46695).
    const TYPED_MAX_CHARS: usize = 4 * Self::MAX_CHARS;

    /// Reads a name as somebody typed it.
    ///
    /// # Errors
    /// [`UsernameError`] says which rule it breaks.
    pub fn parse(typed: &str) -> Result<Self, UsernameError> {
        let typed = typed.trim();
        if typed.chars().count() > Self::TYPED_MAX_CHARS {
            return Err(UsernameError::Length);
        }
        let folded = fold(typed);
        if !folded.chars().all(is_allowed) {
            return Err(UsernameError::Character);
        }
        if !(Self::MIN_CHARS..=Self::MAX_CHARS).contains(&folded.chars().count()) {
            return Err(UsernameError::Length);
        }
        Ok(Self { typed: typed.to_owned(), folded })
    }

    /// What stands for a name that nobody can have or has: folded as a name would be, if it is short enough to be one.
    #[must_use]
    pub(crate) fn shadow_form(typed: &str) -> Cow<'_, str> {
        let typed = typed.trim();
        if typed.chars().count() > Self::TYPED_MAX_CHARS { Cow::Borrowed(typed) } else { Cow::Owned(fold(typed)) }
    }

    /// The form that was typed, for display.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The form that is unique.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Username").field(&self.folded).finish()
    }
}

/// NFKC and full case folding, repeated until it no longer changes: folding can undo normalization.
pub(crate) fn fold(text: &str) -> String {
    let once = |text: &str| text.nfkc().default_case_fold().nfkc().collect::<String>();
    once(&once(text))
}

/// Letters and digits that one can see: UTS 39 leaves out invisible, obsolete and direction characters.
fn is_allowed(c: char) -> bool {
    matches!(c, '.' | '_' | '-' | '@' | '+') || (c.is_alphanumeric() && c.identifier_allowed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Result<String, UsernameError> {
        Username::parse(text).map(|name| name.folded)
    }

    #[test]
    fn spellings_of_one_name_are_one_name() {
        for (typed, expected) in [
            ("Alice", "alice"),
            ("  alice\t", "alice"),
            ("ＡＬＩＣＥ", "alice"),
            ("\u{212A}elvin", "kelvin"),
            ("Straße", "strasse"),
            ("ﬁsher", "fisher"),
            ("e\u{301}mile", "émile"),
            ("bob＠example.org", "bob@example.org"),
        ] {
            assert_eq!(folded(typed).as_deref(), Ok(expected), "{typed:?}");
        }
    }

    #[test]
    fn names_of_many_scripts_are_names() {
        for typed in ["王小明", "мария", "أحمد", "สมชาย", "a.b_c-d+e@f"] {
            assert!(folded(typed).is_ok(), "{typed:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_looked_at() {
        for (typed, error) in [("!".repeat(256), UsernameError::Character), ("!".repeat(257), UsernameError::Length)] {
            assert_eq!(Username::parse(&typed).unwrap_err(), error);
        }
    }

    #[test]
    fn invisible_direction_and_control_characters_are_refused() {
        for typed in [
            "al\u{200B}ice",
            "al\u{202E}ice",
            "al\0ice",
            "al ice",
            "alice\u{3164}",
            "al/ice",
            "user#1",
            "a\u{307}\u{307}b",
            "ali\nce",
            "<b>bob",
        ] {
            assert_eq!(folded(typed), Err(UsernameError::Character), "{typed:?}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_folded_form() {
        assert_eq!(folded("ab"), Err(UsernameError::Length));
        assert!(folded("abc").is_ok());
        assert!(folded(&"a".repeat(64)).is_ok());
        assert_eq!(folded(&"a".repeat(65)), Err(UsernameError::Length));
        assert_eq!(folded(&"ﬃ".repeat(30)), Err(UsernameError::Length), "30 ligatures are 90 letters");
        assert_eq!(folded(&"a".repeat(60_000)), Err(UsernameError::Length));
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for typed in ["İstanbul", "ŉ", "ǰ", "ΐ", "ﬗ", "Ǆ", "㎩", "𝐀da"] {
            assert_eq!(fold(&fold(typed)), fold(typed), "{typed:?}");
        }
    }
}
