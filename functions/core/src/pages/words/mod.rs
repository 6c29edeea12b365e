//! Every text of the pages, by language. A language is one file beside this one, with its line in [`LANGUAGES`]; what
//! it leaves untranslated doesn't compile.

mod en;
mod zh_hant;

use crate::{
    http::{problem::Kind, reason::Reason},
    sessions::session::Method,
};

/// The languages of the pages. The first is what people get who ask for none of them.
pub(crate) const LANGUAGES: [&Words; 2] = [&en::WORDS, &zh_hant::WORDS];

/// The texts of one language. Those around a value are in two parts, since languages put it in different places.
pub(crate) struct Words {
    /// BCP 47 tag, for `lang`, the cookie and the switch.
    pub(crate) tag: &'static str,
    /// Ranges of `Accept-Language` that mean this language, lower case; one covers what begins with it and a dash.
    pub(crate) ranges: &'static [&'static str],
    /// Its name in itself.
    pub(crate) own_name: &'static str,

    // Around every page.
    pub(crate) skip_to_content: &'static str,
    pub(crate) navigation: &'static str,
    pub(crate) language: &'static str,
    pub(crate) account: &'static str,
    pub(crate) security: &'static str,
    pub(crate) sessions: &'static str,
    pub(crate) log_in: &'static str,
    pub(crate) log_out: &'static str,
    pub(crate) register: &'static str,
    /// Shown where the public URL is plain http and not this machine.
    pub(crate) insecure: &'static str,

    // The start page.
    pub(crate) home_title: &'static str,
    pub(crate) home_lead: &'static str,
    pub(crate) home_points: [(&'static str, &'static str); 3],
    pub(crate) home_signed_in_as: &'static str,
    pub(crate) home_to_account: &'static str,
    pub(crate) home_for_developers: &'static str,

    // Logging in and registering.
    pub(crate) login_title: &'static str,
    pub(crate) username: &'static str,
    pub(crate) username_hint: &'static str,
    pub(crate) password: &'static str,
    pub(crate) password_hint: fn(u32) -> String,
    pub(crate) show: &'static str,
    pub(crate) hide: &'static str,
    pub(crate) email: &'static str,
    pub(crate) optional: &'static str,
    pub(crate) no_account_yet: &'static str,
    pub(crate) register_title: &'static str,
    pub(crate) have_account: &'static str,
    pub(crate) verify_title: &'static str,
    pub(crate) verify_lead: &'static str,
    pub(crate) code: &'static str,
    pub(crate) code_hint: &'static str,
    pub(crate) verify_button: &'static str,
    pub(crate) lost_authenticator: &'static str,
    pub(crate) recovery_code: &'static str,
    pub(crate) recovery_code_hint: &'static str,
    pub(crate) use_recovery_code: &'static str,
    pub(crate) start_over: &'static str,

    // The account.
    pub(crate) account_title: &'static str,
    pub(crate) member_since: &'static str,
    pub(crate) two_step: &'static str,
    pub(crate) is_on: &'static str,
    pub(crate) is_off: &'static str,
    pub(crate) this_session: &'static str,
    pub(crate) session_began: &'static str,
    pub(crate) session_ends: &'static str,
    pub(crate) session_ends_hint: &'static str,
    pub(crate) logged_in_with: &'static str,
    pub(crate) methods: fn(&[Method]) -> &'static str,
    pub(crate) advice_title: &'static str,
    pub(crate) advice: &'static str,
    pub(crate) turn_on_two_step: &'static str,
    pub(crate) manage_security: &'static str,
    pub(crate) see_sessions: &'static str,

    // Security.
    pub(crate) security_title: &'static str,
    pub(crate) change_password: &'static str,
    pub(crate) change_password_lead: &'static str,
    pub(crate) current_password: &'static str,
    pub(crate) new_password: &'static str,
    pub(crate) two_step_off_lead: &'static str,
    pub(crate) two_step_on_lead: &'static str,
    pub(crate) set_up_two_step: &'static str,
    pub(crate) your_password: &'static str,
    pub(crate) new_recovery_codes: &'static str,
    pub(crate) new_recovery_codes_lead: &'static str,
    pub(crate) make_recovery_codes: &'static str,
    pub(crate) turn_off_two_step: &'static str,
    pub(crate) turn_off_lead: &'static str,
    pub(crate) code_or_recovery_code: &'static str,

    // Setting two-step verification up.
    pub(crate) set_up_title: &'static str,
    pub(crate) set_up_scan: &'static str,
    pub(crate) set_up_scan_lead: &'static str,
    pub(crate) qr_label: &'static str,
    pub(crate) open_authenticator: &'static str,
    pub(crate) type_secret: &'static str,
    pub(crate) set_up_confirm: &'static str,
    pub(crate) set_up_confirm_lead: &'static str,
    pub(crate) set_up_again_lead: &'static str,
    pub(crate) turn_on: &'static str,
    pub(crate) cancel: &'static str,
    pub(crate) copy: &'static str,
    pub(crate) copied: &'static str,

    // Recovery codes.
    pub(crate) codes_title: &'static str,
    pub(crate) codes_turned_on: &'static str,
    pub(crate) codes_lead: &'static str,
    pub(crate) download: &'static str,
    pub(crate) print: &'static str,
    pub(crate) codes_saved: &'static str,
    pub(crate) codes_file: &'static str,

    // Sessions.
    pub(crate) sessions_title: &'static str,
    pub(crate) sessions_lead: &'static str,
    pub(crate) current: &'static str,
    pub(crate) unknown_device: &'static str,
    pub(crate) browser_on_system: fn(&str, &str) -> String,
    pub(crate) address: &'static str,
    pub(crate) last_seen: &'static str,
    pub(crate) began: &'static str,
    pub(crate) end_session: &'static str,
    pub(crate) end_others: &'static str,
    pub(crate) only_session: &'static str,

    // Time.
    pub(crate) ago: fn(i64) -> String,
    pub(crate) duration: fn(i64) -> String,
    pub(crate) retry_before: &'static str,
    pub(crate) retry_after: &'static str,
    pub(crate) retry_now: &'static str,

    // One line at the top of the page after a change.
    pub(crate) registered: &'static str,
    pub(crate) logged_out: &'static str,
    pub(crate) password_changed: &'static str,
    pub(crate) two_step_turned_off: &'static str,
    pub(crate) session_ended: &'static str,
    pub(crate) sessions_ended: &'static str,

    // What goes wrong.
    /// In place of `invalid-credentials` where only the password was asked for.
    pub(crate) wrong_password: (&'static str, &'static str),
    pub(crate) check_fields: &'static str,
    pub(crate) try_again: &'static str,
    pub(crate) back: &'static str,
    pub(crate) to_start: &'static str,
    /// Heading and text for a problem.
    pub(crate) problem: fn(Kind) -> (&'static str, &'static str),
    pub(crate) reason: fn(Reason) -> String,
}

/// Seconds in the largest unit that fits: how many, of what.
pub(crate) fn in_units(seconds: i64) -> (i64, Unit) {
    match seconds {
        ..=90 => (seconds.max(0), Unit::Second),
        91..=5_400 => (seconds.saturating_add(59) / 60, Unit::Minute),
        5_401..=129_600 => (seconds.saturating_add(3_599) / 3_600, Unit::Hour),
        _ => (seconds.saturating_add(86_399) / 86_400, Unit::Day),
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_largest_unit_that_fits() {
        for (seconds, english, chinese) in [
            (1, "1 second", "1 秒"),
            (90, "90 seconds", "90 秒"),
            (91, "2 minutes", "2 分鐘"),
            (3_600, "60 minutes", "60 分鐘"),
            (86_400, "24 hours", "24 小時"),
            (200_000, "3 days", "3 天"),
        ] {
            assert_eq!(
                ((en::WORDS.duration)(seconds), (zh_hant::WORDS.duration)(seconds)),
                (english.into(), chinese.into())
            );
        }
        assert_eq!((en::WORDS.ago)(-5), "just now", "clocks differ");
    }
}
