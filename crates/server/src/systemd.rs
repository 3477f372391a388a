//! The protocols of systemd: readiness notification (`sd_notify(3)`) and log priorities (`sd-daemon(3)`).

use std::{
    env, io,
    io::Write,
    os::unix::{
        ffi::OsStrExt as _,
        net::{SocketAddr, UnixDatagram},
    },
};

use rustix::{fs::fstat, time::ClockId};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// A state of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Clients are welcome, or a reload is complete.
    Ready,
    /// The server rereads its settings.
    Reloading,
    /// The server drains.
    Stopping,
}

impl State {
    fn message(self) -> String {
        match self {
            State::Ready => "READY=1".to_owned(),
            State::Reloading => {
                let now = rustix::time::clock_gettime(ClockId::Monotonic);
                let micros = now
                    .tv_sec
                    .saturating_mul(1_000_000)
                    .saturating_add(now.tv_nsec / 1_000);
                format!("RELOADING=1\nMONOTONIC_USEC={micros}")
            }
            State::Stopping => "STOPPING=1".to_owned(),
        }
    }
}

/// Reports `state` to the service manager, if one listens on `NOTIFY_SOCKET`. A failure is logged only.
pub(crate) fn notify(state: State) {
    let Some(path) = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return;
    };
    if let Err(error) = send(path.as_bytes(), &state.message()) {
        tracing::warn!(%error, "failed to notify the service manager");
    }
}

fn send(path: &[u8], message: &str) -> io::Result<()> {
    let address = match path.strip_prefix(b"@") {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True if stderr goes to the journal: systemd names its device and inode in `JOURNAL_STREAM`.
pub(crate) fn logs_to_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Starts each log line with its syslog priority if `enabled`, so that `journalctl --priority` can filter.
pub(crate) struct JournalPriority<M> {
    pub(crate) inner: M,
    pub(crate) enabled: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for JournalPriority<M> {
    type Writer = PrefixWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        PrefixWriter {
            inner: self.inner.make_writer(),
            prefix: None,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        PrefixWriter {
            inner: self.inner.make_writer_for(meta),
            prefix: self.enabled.then(|| prefix(*meta.level())),
        }
    }
}

/// The priority of syslog, in the form that the journal strips.
fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Writes a prefix before the line. The caller writes each line in one call.
pub(crate) struct PrefixWriter<W> {
    inner: W,
    prefix: Option<&'static str>,
}

impl<W: Write> Write for PrefixWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Some(prefix) = self.prefix.take() else {
            return self.inner.write(line);
        };
        // One call, so that lines of different threads do not mix.
        self.inner.write_all(&[prefix.as_bytes(), line].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn states_arrive_on_path_and_abstract_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut buffer = [0; 100];
        send(path.as_os_str().as_bytes(), &State::Ready.message()).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");

        let name = format!("roomful-test-{:016x}", rand::random::<u64>());
        let address = abstract_address(name.as_bytes()).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        send(format!("@{name}").as_bytes(), &State::Reloading.message()).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..length].starts_with(b"RELOADING=1\nMONOTONIC_USEC="));
    }

    #[test]
    fn lines_for_the_journal_start_with_their_priority() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for enabled in [true, false] {
            let file = file.as_file().try_clone().unwrap();
            let writer = JournalPriority {
                inner: Arc::new(file),
                enabled,
            };
            let subscriber = tracing_subscriber::fmt().json().with_writer(writer).finish();
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!("one");
                tracing::info!("two");
            });
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        let starts: Vec<_> = text.lines().filter_map(|line| line.split('"').next()).collect();
        assert_eq!(starts, ["<3>{", "<6>{", "{", "{"]);
    }
}
