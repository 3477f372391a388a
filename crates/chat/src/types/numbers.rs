//! Numbers in JSON.

use serde_json::Value;

use super::MAX_SEQ;

/// A whole number up to [`MAX_SEQ`], also if its notation has a fraction or an exponent: JSON has one kind of
/// number, and some languages write 3 as `3.0`.
pub fn whole_number(value: &Value) -> Option<u64> {
    let as_float = || {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "MAX_SEQ and all whole numbers below are exact in an f64"
        )]
        (0.0..=MAX_SEQ as f64).contains(&number).then_some(number as u64)
    };
    value.as_u64().or_else(as_float)
}
