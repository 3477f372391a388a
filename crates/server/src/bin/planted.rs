//! The `roomful` binary with a bug planted in it, which the variable `ROOMFUL_PLANTED` names. Never
//! shipped: it exists so that the torture program's tests can prove that they find what they look for.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomful::main()
}
