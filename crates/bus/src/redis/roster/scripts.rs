//! The scripts, each after what all begin with.

use std::sync::LazyLock;

use redis::Script;

pub(super) struct Scripts {
    pub(super) beat: Script,
    pub(super) resign: Script,
    pub(super) members: Script,
    pub(super) write: Script,
    pub(super) entries: Script,
    pub(super) sweep: Script,
    pub(super) swept: Script,
    pub(super) hold: Script,
}

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("lua/prelude.lua"),
            include_str!(concat!("lua/", $name, ".lua"))
        ))
    };
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    beat: script!("beat"),
    resign: script!("resign"),
    members: script!("members"),
    write: script!("write"),
    entries: script!("entries"),
    sweep: script!("sweep"),
    swept: script!("swept"),
    hold: script!("hold"),
});
