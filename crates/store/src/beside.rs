//! The small file beside the database, `<database>-life`: what is known of the log outside the database, so that an older
//! copy of the database gives itself away. What follows from it is decided in `life`.
//!
//! It is text. Each life of the log has a file of its own, put in place whole; only the position in it is overwritten, after
//! each commit that moves it. It says which file it is, so that it can't be put back unnoticed either.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Where the position stands, as 20 digits.
const POS_AT: u64 = "pos ".len() as u64;

const NOTE: &str = "Roomful tells by this file whether its database was put back; see docs/recovery.md.";

/// A larger file is none of ours.
const MAX_BYTES: u64 = 4096;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beside {
    /// A position in the order of all entries that was committed for certain.
    pub(crate) pos: u64,
    /// The identity of the database file.
    pub(crate) database: String,
    /// The tokens that the database may hold.
    pub(crate) lives: Vec<String>,
}

/// What was found in the file's place.
pub(crate) enum Found {
    /// Nothing, or nothing that can be read.
    Nothing,
    /// A copy of such a file.
    Copy,
    Whole(Beside),
}

pub(crate) fn path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push("-life");
    name.into()
}

pub(crate) fn read(path: &Path) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let own = identity(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let parsed = str::from_utf8(&bytes).ok().and_then(parse);
    Ok(match parsed {
        None => Found::Nothing,
        Some((said, _)) if said != own => Found::Copy,
        Some((_, beside)) => Found::Whole(beside),
    })
}

/// Which file it says it is, and the rest.
fn parse(text: &str) -> Option<(&str, Beside)> {
    // A line that was cut short is not the line that was written.
    let mut rest = text.strip_suffix('\n')?.split('\n');
    let mut field = |name: &str| rest.next()?.strip_prefix(name)?.strip_prefix(' ');
    let pos = field("pos")?.parse().ok()?;
    field("note")?;
    let own = field("self")?;
    let database = field("database")?.to_owned();
    let lives = rest
        .map(|line| line.strip_prefix("life ").map(str::to_owned))
        .collect::<Option<Vec<_>>>()
        .filter(|lives| !lives.is_empty())?;
    Some((own, Beside { pos, database, lives }))
}

/// Puts a new file in the place of the last one. When this returns it is on the disk.
pub(crate) fn write(path: &Path, beside: &Beside) -> io::Result<()> {
    let mut unfinished = OsString::from(path);
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    // One that an earlier process left would keep its own mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    let own = identity(&file.metadata()?);
    let Beside { pos, database, lives } = beside;
    let mut text = format!("pos {pos:020}\nnote {NOTE}\nself {own}\ndatabase {database}\n");
    for life in lives {
        let _ = writeln!(text, "life {life}");
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_folder(path)
}

/// A rename lasts when its folder is on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// What tells a file from its copies: its inode and, where the file system knows it, when it was made, since numbers of
/// removed files are given out again. The device is left out: its number may change when the machine restarts.
pub(crate) fn identity(metadata: &Metadata) -> String {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    let born = metadata
        .created()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    match born {
        Some(born) => format!("{inode} {}", born.as_nanos()),
        None => inode.to_string(),
    }
}

/// The position in the file. It is not synced with each commit: a process that dies leaves it exact, a power cut may leave
/// it behind, and it is never ahead of the database.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
    failing: bool,
}

impl Watermark {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        Ok(Self { file, failing: false })
    }

    /// Everything up to `pos` is committed.
    pub(crate) fn rise(&mut self, pos: u64) {
        let written = self
            .file
            .seek(SeekFrom::Start(POS_AT))
            .and_then(|_| self.file.write_all(format!("{pos:020}").as_bytes()));
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(%error, "the file beside the database can't be written; run `roomful new-epoch` after restoring a backup");
        }
        self.failing = written.is_err();
    }
}

impl Drop for Watermark {
    fn drop(&mut self) {
        // A power cut later on should find it where it is. If it can't be, it is behind, as it may be.
        let _ = self.file.sync_data();
    }
}
