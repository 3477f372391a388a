//! `roomful default-config`: prints the documented defaults, ready to be saved as a file.

use std::process::ExitCode;

use super::{Failure, answer};
use crate::config::DEFAULT_TEXT;

pub(super) fn run() -> Result<ExitCode, Failure> {
    answer(DEFAULT_TEXT)
}
