//! python-socketio on uvicorn, as a reference.

use std::process::Command;

use crate::candidate::install::{Stamp, run};
use crate::candidate::{Candidate, Checkout, Skip};
use crate::loader::dialect::Dialect;

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "python",
    label: "python-socketio on uvicorn",
    dialect: Dialect::SocketIo,
    compiled: false,
    install,
    ready: None,
    command: |checkout, launch| {
        let folder = checkout.peer("python");
        let mut command = Command::new(folder.join(".venv/bin/python"));
        command.arg(folder.join("server.py")).arg(launch.port.to_string());
        command
    },
};

fn install(checkout: &Checkout) -> Result<String, Skip> {
    let folder = checkout.peer("python");
    let stamp = Stamp::of(&folder.join("requirements.txt"), &folder.join(".venv"))?;
    if !stamp.is_current() {
        run(&folder, Command::new("python3").args(["-m", "venv", ".venv"]))?;
        let mut pip = Command::new(".venv/bin/pip");
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            "requirements.txt",
        ]);
        run(&folder, &pip)?;
        stamp.commit()?;
    }
    let versions = "from importlib.metadata import version as v; from platform import python_version as p; \
                    print(f\"Python {p()}, python-socketio {v('python-socketio')}, uvicorn {v('uvicorn')}\")";
    run(&folder, Command::new(".venv/bin/python").args(["-c", versions]))
}
