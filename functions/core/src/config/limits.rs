//! Which limit guards which function.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{source::SettingsError, values::by_text};
use crate::rate_limit::policy::{Policy, PolicyError};

/// A policy, or `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitSetting {
    /// Limited.
    Policy(Policy),
    /// Not limited.
    Off,
}

impl FromStr for LimitSetting {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text.trim() {
            "off" => Ok(Self::Off),
            policy => policy.parse().map(Self::Policy),
        }
    }
}

impl fmt::Display for LimitSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy) => policy.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

by_text!(LimitSetting);

/// Declares the functions once: their names in settings and headers, their built-in limits.
macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident $field:ident $name:literal $default:expr;)+) => {
        /// A part of the API with a limit of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Function {
            $($(#[$doc])* $variant,)+
        }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in settings, headers and log lines.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The limit where nothing is set; `None` follows `default`.
            fn built_in(self) -> Option<&'static str> {
                match self { $(Self::$variant => $default,)+ }
            }
        }

        /// `HALLPASS_LIMITS__<FUNCTION>`: a limit such as `10 per minute; 50 per hour`, or `off`.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            /// `HALLPASS_LIMITS__DEFAULT`: every function without a limit of its own, each route and client address.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub default: Option<LimitSetting>,
            $(
                $(#[$doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<LimitSetting>,
            )+
        }

        impl Limits {
            fn set_for(&self, function: Function) -> Option<&LimitSetting> {
                match function { $(Function::$variant => self.$field.as_ref(),)+ }
            }
        }
    };
}

/// As in Flask-Limiter's quick start.
const DEFAULT: &str = "200 per day; 50 per hour";
const GUESSES: Option<&str> = Some("10 per minute; 100 per day");
const READS: Option<&str> = Some("600 per minute");

functions! {
    /// `POST /register`
    Register register "register" Some("10 per hour");
    /// `POST /login`
    Login login "login" GUESSES;
    /// `POST /login/verify`
    Verify verify "verify" GUESSES;
    /// `POST /logout`
    Logout logout "logout" None;
    /// `GET /session`
    Session session "session" READS;
    /// `/sessions`
    Sessions sessions "sessions" READS;
    /// `POST /password`
    Password password "password" None;
    /// `/totp`
    Totp totp "totp" None;
    /// `POST /recovery-codes`
    RecoveryCodes recovery_codes "recovery-codes" None;
    /// `GET /api/resource`
    Resource resource "resource" Some("10 per minute");
    /// `/api/authz`
    Authz authz "authz" READS;
    /// Pages for people.
    Pages pages "pages" READS;
    /// `GET /openapi.json` and `/docs`
    Docs docs "docs" None;
}

/// What limits one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The policy.
    pub policy: Policy,
    /// Whether each route of the function counts by itself.
    pub is_by_route: bool,
}

impl Limits {
    /// Functions that guesses go through: a limit can be changed, not switched off.
    const NEVER_OFF: [Function; 4] = [Function::Login, Function::Verify, Function::Register, Function::Password];
    /// Functions that take a password or a code: what they admit is for nobody else to spend.
    pub(crate) const OF_CREDENTIALS: [Function; 6] = [
        Function::Login,
        Function::Verify,
        Function::Register,
        Function::Password,
        Function::Totp,
        Function::RecoveryCodes,
    ];

    /// The limit in force for `function`; `None` where it is off.
    #[must_use]
    pub fn of(&self, function: Function) -> Option<InForce> {
        let built_in = |text: &str| text.parse::<Policy>().ok();
        let (own, is_by_route) = match (self.set_for(function), function.built_in()) {
            (Some(set), _) => (Some(set.clone()), false),
            (None, Some(text)) => (built_in(text).map(LimitSetting::Policy), false),
            (None, None) => (self.default.clone(), true),
        };
        let policy = match own {
            Some(LimitSetting::Policy(policy)) => policy,
            // `off` for the rest never reaches a function that guesses go through.
            Some(LimitSetting::Off) if !Self::NEVER_OFF.contains(&function) => return None,
            Some(LimitSetting::Off) | None => built_in(DEFAULT)?,
        };
        Some(InForce { policy, is_by_route })
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let off = Self::NEVER_OFF.iter().find(|function| self.set_for(**function) == Some(&LimitSetting::Off));
        off.map_or(Ok(()), |function| {
            Err(SettingsError::new(&format!("limits.{}", function.name()), "must not be off: guesses go through it"))
        })
    }
}
