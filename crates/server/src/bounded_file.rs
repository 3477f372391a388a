//! Files that settings name, read up to a size. A device such as `/dev/zero` has no end.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// The largest file of a secret or a key, in bytes.
pub(crate) const SECRET_BYTES: u64 = 64 << 10;
/// The largest file of certificates, in bytes.
pub(crate) const CERTIFICATE_BYTES: u64 = 1 << 20;
/// The largest configuration file, in bytes.
pub(crate) const SETTINGS_BYTES: u64 = 4 << 20;
/// The largest file of words, in bytes: several million words.
pub(crate) const WORDS_BYTES: u64 = 64 << 20;

/// Reads at most `max_bytes`, from a file or a pipe.
///
/// # Errors
/// Those of reading; [`io::ErrorKind::FileTooLarge`] beyond the bound.
pub(crate) fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let bound = match max_bytes >> 20 {
            0 => format!("{} KiB", max_bytes >> 10),
            mebibytes => format!("{mebibytes} MiB"),
        };
        let what = format!("it has more than {bound}; name the right file, or shorten it");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// Reads a text of at most `max_bytes`, from a file or a pipe.
///
/// # Errors
/// Those of [`read`]; [`io::ErrorKind::InvalidData`] if the text is not UTF-8.
pub(crate) fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    String::from_utf8(read(path, max_bytes)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "a".repeat(1_024)).unwrap();
        // Kubernetes mounts secrets as links.
        symlink(&file, &link).unwrap();
        assert_eq!(read_text(&link, 1_024).unwrap().len(), 1_024);
        let error = read_text(&link, 1_023).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        fs::write(&file, b"\xff").unwrap();
        assert_eq!(
            read_text(&link, 1).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_device_without_an_end_is_refused() {
        let error = read_text(Path::new("/dev/zero"), SECRET_BYTES).unwrap_err();
        assert!(error.to_string().contains("more than 64 KiB"), "{error}");
    }
}
