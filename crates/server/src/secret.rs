//! Where the keys come from that tokens are signed and checked with: the configured secret, the configured keys, or a
//! secret that is made once and kept in the data folder.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    config::{Algorithm, AuthKey, Config, ConfigError, MIN_SECRET_BYTES, Origin},
    token::Signer,
};

/// The keys of a configuration.
pub(crate) struct Keys {
    secret: Option<String>,
    table: Vec<LoadedKey>,
}

/// One entry of `auth.keys`, its file read.
pub(crate) struct LoadedKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    /// The secret of HS256, or the PEM text of a public key.
    pub(crate) material: String,
    /// Where it stands, for what is said of a key that can't be used.
    pub(crate) origin: Origin,
}

/// Was a secret made just now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// No: it was configured, or was there.
    No,
    /// Yes, in the data folder.
    Yes,
}

impl Keys {
    /// Reads what is there and makes nothing.
    pub(crate) fn look(config: &Config) -> Result<Self, ConfigError> {
        let table = config
            .auth
            .keys
            .iter()
            .map(|key| load_key(key, &config.origin_of_keys))
            .collect::<Result<Vec<_>, _>>()?;
        let secret = match config.auth.secret.expose() {
            Some(secret) => Some(secret.to_owned()),
            None if !table.is_empty() => None,
            None => read_generated(&config.secret_path())?,
        };
        Ok(Keys { secret, table })
    }

    /// Reads what is there, and makes a secret if there is no key at all.
    pub(crate) fn load(config: &Config) -> Result<(Self, Made), ConfigError> {
        let keys = Keys::look(config)?;
        if keys.is_complete() {
            return Ok((keys, Made::No));
        }
        let path = config.secret_path();
        let wrong = |what: String| ConfigError::layer(Origin::File(path.clone()), what);
        let made =
            make_generated(&config.data, &path).map_err(|error| wrong(format!("can't be made: {error}")))?;
        let keys = Keys::look(config)?;
        if keys.is_complete() {
            Ok((keys, made))
        } else {
            Err(wrong("vanished while it was made".to_owned()))
        }
    }

    /// Is there only a secret that this server made itself?
    pub(crate) fn is_made_here(&self, config: &Config) -> bool {
        self.table.is_empty() && config.auth.secret.expose().is_none()
    }

    /// Is there any key to check tokens with?
    pub(crate) fn is_complete(&self) -> bool {
        self.secret.is_some() || !self.table.is_empty()
    }

    /// The key to sign with: the secret, else the first HS256 key.
    pub(crate) fn signer(&self) -> Option<Signer> {
        let first_hs256 = || self.table.iter().find(|key| key.algorithm == Algorithm::HS256);
        match &self.secret {
            Some(secret) => Some(Signer::new(secret, None)),
            None => first_hs256().map(|key| Signer::new(&key.material, key.kid.clone())),
        }
    }

    /// The HS256 secret without a kid, if there is one.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// The keys of `auth.keys`.
    pub(crate) fn table(&self) -> &[LoadedKey] {
        &self.table
    }
}

fn load_key(key: &AuthKey, configured: &Origin) -> Result<LoadedKey, ConfigError> {
    let (material, origin) = match &key.public_key_file {
        Some(path) => {
            let origin = Origin::File(path.clone());
            let read = fs::read_to_string(path);
            (
                read.map_err(|error| ConfigError::layer(origin.clone(), format!("can't be read: {error}")))?,
                origin,
            )
        }
        None => (
            key.secret.expose().unwrap_or_default().to_owned(),
            configured.clone(),
        ),
    };
    Ok(LoadedKey {
        kid: key.kid.clone(),
        algorithm: key.algorithm,
        material,
        origin,
    })
}

fn read_generated(path: &Path) -> Result<Option<String>, ConfigError> {
    let wrong = |what: String| ConfigError::layer(Origin::File(path.to_owned()), what);
    match fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= MIN_SECRET_BYTES => Ok(Some(text.trim().to_owned())),
        Ok(_) => Err(wrong(format!(
            "holds less than {MIN_SECRET_BYTES} bytes; delete it and a new secret is made"
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(format!("can't be read: {error}"))),
    }
}

/// Makes the secret under a passing name and links it into place, so that nobody reads half a secret, and of two
/// processes that start at once both use the same.
fn make_generated(folder: &Path, path: &Path) -> io::Result<Made> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let passing = folder.join(format!(".auth.secret.{:016x}", rand::random::<u64>()));
    let written = write_secret(&passing).and_then(|()| match fs::hard_link(&passing, path) {
        Ok(()) => Ok(Made::Yes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Made::No),
        Err(error) => Err(error),
    });
    // What went wrong before matters more than a left-over file.
    let _ = fs::remove_file(&passing);
    let made = written?;
    fs::File::open(folder)?.sync_all()?;
    Ok(made)
}

fn write_secret(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    writeln!(file, "{secret}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Sources;

    fn config(data: &Path, file: &str) -> Config {
        let path = data.join("roomful.toml");
        fs::write(&path, file).unwrap();
        let flags = vec![("--data", "data", data.display().to_string())];
        Config::load(Sources {
            file: Some(path),
            flags,
            ..Sources::default()
        })
        .unwrap()
    }

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        assert!(!Keys::look(&config).unwrap().is_complete());
        let (first, made) = Keys::load(&config).unwrap();
        assert_eq!(made, Made::Yes);
        let (second, made) = Keys::load(&config).unwrap();
        assert_eq!((first.secret(), Made::No), (second.secret(), made));
        assert_eq!(first.secret().unwrap().len(), 43);
        assert_eq!(
            fs::metadata(config.secret_path()).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn starts_at_once_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Keys::load(&config).unwrap().0.secret().unwrap().to_owned()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]), "{secrets:?}");
    }

    #[test]
    fn a_key_file_is_read_and_public_keys_sign_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("key.pem");
        let text = format!(
            "[[auth.keys]]\nalgorithm = \"ES256\"\npublic_key_file = {:?}\n",
            pem.display().to_string()
        );
        let config = config(folder.path(), &text);
        let missing = Keys::look(&config).err().unwrap().to_string();
        assert!(missing.contains("key.pem: can't be read"), "{missing}");
        fs::write(&pem, "PEM").unwrap();
        let (keys, made) = Keys::load(&config).unwrap();
        assert_eq!((keys.table().len(), keys.secret(), made), (1, None, Made::No));
        assert!(keys.signer().is_none());
    }
}
