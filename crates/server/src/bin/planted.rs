//! The `roomful` binary with a bug planted in it, which the variable `ROOMFUL_PLANTED` names. Never
//! shipped: it lets the torture program's tests prove that they find such bugs.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomful::main()
}
