//! Centrifugo, built from its Go module.

use std::process::Command;

use crate::candidate::install::run;
use crate::candidate::{Candidate, Mode, Place, SECRET, Skip};
use crate::loader::dialect::Dialect;

const BINARY: &str = "centrifugo/centrifugo";

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "centrifugo",
    label: "Centrifugo, in memory",
    dialect: Dialect::Centrifugo,
    install,
    ready: None,
    command: |place, launch| {
        let mut command = Command::new(place.built(BINARY));
        command
            .arg("--config")
            .arg(place.peer("centrifugo").join("config.json"))
            .env("CENTRIFUGO_HTTP_SERVER_PORT", launch.port.to_string())
            .env("CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY", SECRET)
            .env(
                "CENTRIFUGO_CLIENT_INSECURE",
                (launch.mode == Mode::Bare).to_string(),
            );
        command
    },
};

fn install(place: &Place) -> Result<String, Skip> {
    let folder = place.peer("centrifugo");
    let binary = place.built(BINARY);
    let mut go = Command::new("go");
    go.args(["build", "-o"])
        .arg(&binary)
        .arg("github.com/centrifugal/centrifugo/v6");
    run(&folder, &go)?;
    let mut version = Command::new("go");
    version.args([
        "list",
        "-m",
        "-f",
        "{{.Version}}",
        "github.com/centrifugal/centrifugo/v6",
    ]);
    Ok(format!(
        "Centrifugo {}, memory engine, history on",
        run(&folder, &version)?
    ))
}
