//! A rotating secret: two files that the settings name, of which one has the secret in use.
//!
//! A rotation writes a new secret into the other file. When all nodes accept it, the traffic moves to it, and
//! the first file gets a secret that nobody knows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::laws::secret::Validity;
use super::violation::SecretKind;

/// A secret that can be used.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    /// Which one it is of its kind.
    pub(super) number: u64,
    pub(super) text: Arc<str>,
    slot: usize,
}

#[derive(Debug)]
pub(super) struct Slots {
    pub(super) kind: SecretKind,
    files: [PathBuf; 2],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The secret that the traffic uses.
    current: Secret,
    /// When each secret was valid, by its number.
    validity: Vec<Validity>,
}

impl Slots {
    /// Writes the first secret into the folder.
    pub(super) fn create(kind: SecretKind, folder: &Path) -> io::Result<Self> {
        let name = match kind {
            SecretKind::ApiKey => "api-key",
            SecretKind::TokenSecret => "token-secret",
        };
        let files = [0, 1].map(|slot| folder.join(format!("{name}-{slot}")));
        let current = Secret {
            number: 0,
            text: random().into(),
            slot: 0,
        };
        write(&files[0], &current.text)?;
        write(&files[1], &random())?;
        // The nodes start with it.
        let validity = Validity {
            begun: Some(0),
            ended: None,
        };
        Ok(Self {
            kind,
            files,
            state: Mutex::new(State {
                current,
                validity: vec![validity],
            }),
        })
    }

    pub(super) fn files(&self) -> &[PathBuf; 2] {
        &self.files
    }

    /// The secret to use.
    pub(super) fn current(&self) -> Secret {
        self.state.lock().current.clone()
    }

    pub(super) fn validity(&self, number: u64) -> Validity {
        let state = self.state.lock();
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        state.validity.get(at).copied().unwrap_or_default()
    }

    /// Writes a new secret beside the current one.
    pub(super) fn add(&self) -> io::Result<Secret> {
        let new = {
            let mut state = self.state.lock();
            state.validity.push(Validity::default());
            Secret {
                number: state.validity.len() as u64 - 1,
                text: random().into(),
                slot: 1 - state.current.slot,
            }
        };
        write(&self.files[new.slot], &new.text)?;
        Ok(new)
    }

    /// All nodes have accepted the new secret: the traffic moves to it. Returns the old one.
    pub(super) fn switch(&self, new: &Secret, now: u64) -> Secret {
        let mut state = self.state.lock();
        state.change(new.number, |validity| validity.begun = Some(now));
        std::mem::replace(&mut state.current, new.clone())
    }

    /// Overwrites an old secret.
    pub(super) fn withdraw(&self, old: &Secret, now: u64) -> io::Result<()> {
        self.state
            .lock()
            .change(old.number, |validity| validity.ended = Some(now));
        write(&self.files[old.slot], &random())
    }
}

impl State {
    fn change(&mut self, number: u64, change: impl FnOnce(&mut Validity)) {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(validity) = self.validity.get_mut(at) {
            change(validity);
        }
    }
}

fn random() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// Replaces a file in one step: a node that starts at this moment reads the old secret or the new one.
fn write(file: &Path, secret: &str) -> io::Result<()> {
    let temporary = file.with_extension("new");
    fs::write(&temporary, format!("{secret}\n"))?;
    fs::rename(temporary, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_changes_one_file_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::create(SecretKind::ApiKey, folder.path()).unwrap();
        let read = || {
            slots
                .files()
                .clone()
                .map(|file| fs::read_to_string(file).unwrap())
        };
        let old = slots.current();
        let new = slots.add().unwrap();
        assert_eq!(read(), [&old, &new].map(|secret| format!("{}\n", secret.text)));
        assert_eq!(slots.current().number, 0);
        assert_eq!(slots.switch(&new, 5).number, 0);
        slots.withdraw(&old, 9).unwrap();
        let [first, second] = read();
        assert!(!first.contains(&*old.text) && second.contains(&*new.text));
        assert_eq!((slots.current().number, slots.validity(0).ended), (1, Some(9)));
        assert_eq!(slots.validity(1).begun, Some(5));
    }
}
