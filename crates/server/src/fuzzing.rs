//! Entry points of the fuzz targets: `cargo fuzz` compiles them with `--cfg fuzzing`, and nothing else does.

use std::{path::PathBuf, thread};

use crate::{
    config::{Config, Sources},
    server::Server,
};

/// Reads a configuration file and environment variables. An error is what `roomful check-config` shows.
///
/// # Errors
/// The text of the first error.
pub fn check_config(file: Option<PathBuf>, env: Vec<(String, String)>) -> Result<(), String> {
    let sources = Sources {
        file,
        env,
        flags: Vec::new(),
    };
    Config::load(sources).map(drop).map_err(|error| error.to_string())
}

/// Starts a server with the settings of these variables on a thread of its own, for as long as the process
/// runs.
pub fn serve(env: Vec<(String, String)>) {
    thread::spawn(move || {
        let sources = Sources {
            env,
            ..Sources::default()
        };
        let config = Config::load(sources).expect("valid settings");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let _server = Server::start(&config, |store| store)
                .await
                .expect("the server starts");
            std::future::pending::<()>().await;
        });
    });
}
