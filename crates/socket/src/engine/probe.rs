//! The upgrade: a WebSocket with a polling session's id probes and then takes the session over.
//!
//! Source: Engine.IO protocol 4, section "Upgrade".

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use roomful_wire::{
    engine::Packet,
    frame::{self, Decoder, Limits, Message, OpCode},
};
use tokio::time::Instant;

use super::{
    session::{Session, UpgradedStream},
    stream::Stream,
};

/// Interval at which a parked GET is answered during a probe.
const RELEASE_EVERY: Duration = Duration::from_millis(100);
/// A probe needs two packets of a few bytes. More data fails the probe.
const READ_BUFFER: usize = 1024;

const PROBE_LIMITS: Limits = Limits {
    max_message: 64,
    max_fragments: 4,
};

/// Runs the probe. If it fails, the session continues with polling.
pub(super) async fn run(session: Arc<Session>, mut stream: Stream, read_ahead: Bytes) {
    if session.begin_probe().is_err() {
        close(&mut stream).await;
        return;
    }
    let deadline = Instant::now() + session.settings().upgrade_timeout;
    let mut probe = Probe {
        session: &session,
        decoder: Decoder::default(),
        probed: false,
    };
    let outcome = tokio::time::timeout_at(deadline, probe.exchange(&mut stream, read_ahead.to_vec())).await;
    let decoder = probe.decoder;
    if let Ok(Some(read_ahead)) = outcome {
        if let Err(mut upgraded) = session.take_over(UpgradedStream {
            stream,
            decoder,
            read_ahead,
        }) {
            close(&mut upgraded.stream).await;
        }
    } else {
        session.abandon_probe();
        close(&mut stream).await;
    }
}

struct Probe<'a> {
    session: &'a Session,
    decoder: Decoder,
    probed: bool,
}

enum Step {
    Go,
    Answer(Vec<u8>),
    Upgrade,
    GiveUp,
}

impl Probe<'_> {
    /// Reads until the upgrade packet and returns the bytes that follow it. `None` if the probe failed.
    async fn exchange(&mut self, stream: &mut Stream, mut pending: Vec<u8>) -> Option<Vec<u8>> {
        let mut release = tokio::time::interval(RELEASE_EVERY);
        let mut buffer = [0; READ_BUFFER];
        loop {
            let mut at = 0;
            while let Some(bytes) = pending.get_mut(at..).filter(|bytes| !bytes.is_empty()) {
                let (consumed, step) = self.step(bytes)?;
                at += consumed;
                match step {
                    Step::Go => {}
                    Step::Answer(frame) => write_all(stream, &frame).await.ok()?,
                    Step::Upgrade => return Some(pending.split_off(at)),
                    Step::GiveUp => return None,
                }
            }
            pending.clear();
            let count = loop {
                tokio::select! {
                    count = poll_fn(|cx| stream.source.poll_read(cx, &mut buffer)) => break count.ok()?,
                    _ = release.tick() => {
                        if !self.session.is_open() {
                            return None;
                        }
                        if self.probed {
                            self.session.release_get();
                        }
                    }
                }
            };
            if count == 0 {
                return None;
            }
            pending.extend_from_slice(buffer.get(..count)?);
        }
    }

    fn step(&mut self, bytes: &mut [u8]) -> Option<(usize, Step)> {
        let decoded = self.decoder.decode(&PROBE_LIMITS, bytes).ok()?;
        let step = match decoded.message {
            None | Some(Message::Pong(_)) => Step::Go,
            Some(Message::Text(text)) => match Packet::from_text(&text).ok()? {
                Packet::Ping("probe") => {
                    self.probed = true;
                    Step::Answer(written(OpCode::Text, b"3probe"))
                }
                Packet::Upgrade if self.probed => Step::Upgrade,
                _ => Step::GiveUp,
            },
            Some(Message::Ping(payload)) => Step::Answer(written(OpCode::Pong, &payload)),
            Some(Message::Binary(_) | Message::Close(_)) => Step::GiveUp,
        };
        Some((decoded.consumed, step))
    }
}

fn written(op: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(op, payload, &mut out);
    out
}

async fn write_all(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| stream.sink.poll_write(cx, &[IoSlice::new(bytes)])).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
    }
    poll_fn(|cx| stream.sink.poll_flush(cx)).await
}

/// Sends a close frame, for at most a second: the peer may not be reading.
async fn close(stream: &mut Stream) {
    let mut frame = Vec::new();
    frame::write_close(None, "", &mut frame);
    let closing = async {
        write_all(stream, &frame).await?;
        poll_fn(|cx| stream.sink.poll_shutdown(cx)).await
    };
    // A failure does not matter: the probe has already failed.
    let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
}
