//! The watermark file: a small text file outside the database that records the newest committed position.
//!
//! If the database is restored from an older copy, its position falls behind the file, which reveals the
//! restore. The `generation` module of each engine decides what follows.
//!
//! Each generation of the log writes a new file and renames it into place. Only the position in it is
//! overwritten, after each commit that moves it. The file also records its own inode, so that a copy of the
//! file is detected too.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Offset of the position, which has 20 digits.
const POSITION_OFFSET: u64 = "position ".len() as u64;

const NOTE: &str = "Roomful detects a restored database by this file; see docs/recovery.md.";

/// A larger file is not a watermark file.
const MAX_BYTES: u64 = 4096;

/// Content of a watermark file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatermarkFile {
    /// A position in the log that is certainly committed.
    pub(crate) position: u64,
    /// Identity of the database: for SQLite that of its file.
    pub(crate) database: String,
    /// Generations that the database may be in; at least one.
    pub(crate) generations: Vec<String>,
}

/// State of the file on disk.
pub(crate) enum Found {
    /// The file is missing or damaged.
    Missing,
    /// The file is a copy of a watermark file.
    Copied,
    /// The file is intact.
    Intact(WatermarkFile),
}

/// Path of the watermark file that belongs to a database file.
pub(crate) fn path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push("-watermark");
    name.into()
}

pub(crate) fn read(path: &Path) -> io::Result<Found> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(error),
    };
    let own = identity(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let parsed = str::from_utf8(&bytes).ok().and_then(parse);
    Ok(match parsed {
        None => Found::Missing,
        Some((recorded, _)) if recorded != own => Found::Copied,
        Some((_, content)) => Found::Intact(content),
    })
}

/// The file identity recorded in the text, and the content.
fn parse(text: &str) -> Option<(&str, WatermarkFile)> {
    // Without its final line break the last line may be truncated.
    let mut rest = text.strip_suffix('\n')?.split('\n');
    let mut field = |name: &str| rest.next()?.strip_prefix(name)?.strip_prefix(' ');
    let position = field("position")?.parse().ok()?;
    field("note")?;
    let own = field("self")?;
    let database = field("database")?.to_owned();
    let generations = rest
        .map(|line| line.strip_prefix("generation ").map(str::to_owned))
        .collect::<Option<Vec<_>>>()
        .filter(|generations| !generations.is_empty())?;
    let content = WatermarkFile {
        position,
        database,
        generations,
    };
    Some((own, content))
}

/// Replaces the file atomically. It is on disk when this returns.
pub(crate) fn write(path: &Path, content: &WatermarkFile) -> io::Result<()> {
    let mut unfinished = OsString::from(path);
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    // A leftover of an earlier process would keep its own mode.
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
    let WatermarkFile {
        position,
        database,
        generations,
    } = content;
    let mut text = format!("position {position:020}\nnote {NOTE}\nself {own}\ndatabase {database}\n");
    for generation in generations {
        let _ = writeln!(text, "generation {generation}");
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_folder(path)
}

/// Makes a rename in the file's folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Distinguishes a file from its copies: its inode and, where the file system knows it, its creation time,
/// since inode numbers are reused. The device is left out: its number may change when the machine restarts.
pub(crate) fn identity(metadata: &Metadata) -> String {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let inode = 0;
    let created = metadata
        .created()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    match created {
        Some(created) => format!("{inode} {}", created.as_nanos()),
        None => inode.to_string(),
    }
}

/// The open watermark file. Positions are not synced with each commit: after a crash of the process the
/// file is exact, after a power cut it may be behind, and it is never ahead of the database.
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

    /// Records that everything up to `position` is committed. A failure is logged once, until a write
    /// succeeds.
    pub(crate) fn advance(&mut self, position: u64) {
        let written = self
            .file
            .seek(SeekFrom::Start(POSITION_OFFSET))
            .and_then(|_| self.file.write_all(format!("{position:020}").as_bytes()));
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(
                %error,
                "failed to write the watermark file; run `roomful new-epoch` after restoring a backup"
            );
        }
        self.failing = written.is_err();
    }
}

impl Drop for Watermark {
    fn drop(&mut self) {
        // Best effort: without the sync a later power cut may leave the file behind, which is allowed.
        let _ = self.file.sync_data();
    }
}
