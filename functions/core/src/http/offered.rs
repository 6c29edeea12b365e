//! A second step as a body offers it: a code or a recovery code.

use super::{body::Secret, problem::Problem, reason::Reason};
use crate::second_factor::{Offered, recovery::RecoveryCode, totp::TotpCode};

/// What a body offers as its second step; exactly one of the two must be there. An empty field is one not filled in.
///
/// # Errors
/// 422 for none or both. A code that can't be right is offered all the same, so that it is counted.
pub fn offered(code: Option<&Secret>, recovery_code: Option<&Secret>) -> Result<Offered, Problem> {
    let filled = |field: Option<&Secret>| {
        field.map(|secret| secret.reveal().to_owned()).filter(|text| !text.is_empty()).map(zeroize::Zeroizing::new)
    };
    match (filled(code), filled(recovery_code)) {
        (Some(code), None) => Ok(Offered::Code(TotpCode::parse(&code))),
        (None, Some(code)) => Ok(Offered::RecoveryCode(RecoveryCode::parse(&code))),
        (None, None) => Err(Problem::invalid_input("code", Reason::NoSecondStep)),
        (Some(_), Some(_)) => Err(Problem::invalid_input("recovery_code", Reason::TwoSecondSteps)),
    }
}
