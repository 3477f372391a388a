//! Keys for signing and verifying tokens: the configured secret, `auth.keys`, or a generated secret in the
//! data folder.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    bounded_file::{self, SECRET_BYTES},
    config::{Algorithm, AuthKey, Config, ConfigError, MIN_SECRET_BYTES, Origin},
    token::Signer,
};

/// The keys of a configuration.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    secret: Option<String>,
    second_secret: Option<String>,
    table: Vec<LoadedKey>,
}

/// One entry of `auth.keys`, its file read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LoadedKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    /// The secret of HS256, or the PEM text of a public key.
    pub(crate) material: String,
    /// Source of the key, for errors.
    pub(crate) origin: Origin,
}

/// Whether a call generated the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generated {
    /// No: it was configured or existed.
    No,
    /// Yes, in the data folder.
    Yes,
}

impl Keys {
    /// Reads the existing keys and generates nothing.
    pub(crate) fn read(config: &Config) -> Result<Self, ConfigError> {
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
        Ok(Keys {
            secret,
            second_secret: config.auth.second_secret.expose().map(str::to_owned),
            table,
        })
    }

    /// Reads the existing keys, and generates a secret if there is no key at all.
    pub(crate) fn read_or_generate(config: &Config) -> Result<(Self, Generated), ConfigError> {
        let keys = Keys::read(config)?;
        if keys.is_complete() {
            return Ok((keys, Generated::No));
        }
        let path = config.secret_path();
        let wrong = |what: String| ConfigError::layer(Origin::File(path.clone()), what);
        let generated = generate(&config.data, &path)
            .map_err(|error| wrong(format!("failed to generate it: {error}")))?;
        let keys = Keys::read(config)?;
        if keys.is_complete() {
            Ok((keys, generated))
        } else {
            Err(wrong("disappeared while it was generated".to_owned()))
        }
    }

    /// True if the only key is a secret that this server generated.
    pub(crate) fn is_generated_here(&self, config: &Config) -> bool {
        self.table.is_empty() && config.auth.secret.expose().is_none()
    }

    /// True if there is any key to verify tokens with.
    pub(crate) fn is_complete(&self) -> bool {
        self.secret.is_some() || !self.table.is_empty()
    }

    /// The key for signing: the secret, otherwise the first HS256 key of `auth.keys`.
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

    /// The second secret, which verifies tokens during a rotation but never signs them.
    pub(crate) fn second_secret(&self) -> Option<&str> {
        self.second_secret.as_deref()
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
            let read = bounded_file::read_text(path, SECRET_BYTES);
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
    match bounded_file::read_text(path, SECRET_BYTES) {
        Ok(text) if text.trim().len() >= MIN_SECRET_BYTES => Ok(Some(text.trim().to_owned())),
        Ok(_) => Err(wrong(format!(
            "has less than {MIN_SECRET_BYTES} bytes; delete it, and the server generates a new one"
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(format!("can't be read: {error}"))),
    }
}

/// Writes a secret under a temporary name and links it into place: no process can read half a secret, and
/// two processes that start at the same time use the same one.
fn generate(folder: &Path, path: &Path) -> io::Result<Generated> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = folder.join(format!(".auth.secret.{:016x}", rand::random::<u64>()));
    let written = write_secret(&temporary).and_then(|()| match fs::hard_link(&temporary, path) {
        Ok(()) => Ok(Generated::Yes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Generated::No),
        Err(error) => Err(error),
    });
    // An earlier error matters more than a left-over file.
    let _ = fs::remove_file(&temporary);
    let generated = written?;
    fs::File::open(folder)?.sync_all()?;
    Ok(generated)
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
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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
    fn the_secret_is_generated_once_with_mode_0600() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        assert!(!Keys::read(&config).unwrap().is_complete());
        let (first, generated) = Keys::read_or_generate(&config).unwrap();
        assert_eq!(generated, Generated::Yes);
        let (second, generated) = Keys::read_or_generate(&config).unwrap();
        assert_eq!((first.secret(), Generated::No), (second.secret(), generated));
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
    fn concurrent_starts_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "");
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        Keys::read_or_generate(&config)
                            .unwrap()
                            .0
                            .secret()
                            .unwrap()
                            .to_owned()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]), "{secrets:?}");
    }

    #[test]
    fn a_public_key_file_verifies_but_does_not_sign() {
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("key.pem");
        let text = format!(
            "[[auth.keys]]\nalgorithm = \"ES256\"\npublic_key_file = {:?}\n",
            pem.display().to_string()
        );
        let config = config(folder.path(), &text);
        let missing = Keys::read(&config).err().unwrap().to_string();
        assert!(missing.contains("key.pem: can't be read"), "{missing}");
        symlink("/dev/zero", &pem).unwrap();
        let endless = Keys::read(&config).err().unwrap().to_string();
        assert!(endless.contains("more than 64 KiB"), "{endless}");
        fs::remove_file(&pem).unwrap();
        fs::write(&pem, "PEM").unwrap();
        let (keys, generated) = Keys::read_or_generate(&config).unwrap();
        assert_eq!(
            (keys.table().len(), keys.secret(), generated),
            (1, None, Generated::No)
        );
        assert!(keys.signer().is_none());
    }
}
