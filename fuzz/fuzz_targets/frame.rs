//! WebSocket frames: the result does not depend on how reads split the bytes, memory is bounded, and the
//! messages can be sent again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomful_wire::frame::{self, Decoder, FrameError, Limits, Message, OpCode};

const LIMITS: Limits = Limits {
    max_message: 300,
    max_fragments: 8,
};

/// Memory of the decoder besides the message: its box and a control frame.
const OVERHEAD: usize = 512;

type Outcome = (Vec<Message<'static>>, Option<FrameError>);

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let mut at = 0;
        while at < buffer.len() {
            match decoder.decode(&LIMITS, &mut buffer[at..]) {
                Ok(step) => {
                    assert!(step.consumed > 0);
                    at += step.consumed;
                    assert!(step.message.is_some() || at == piece.len());
                    messages.extend(step.message.map(Message::into_owned));
                }
                Err(error) => {
                    assert!(matches!(error.close_code(), 1002 | 1007 | 1009));
                    assert_eq!(decoder.buffered_bytes(), 0);
                    return (messages, Some(error));
                }
            }
            assert!(
                decoder.buffered_bytes() <= LIMITS.max_message + OVERHEAD,
                "{}",
                decoder.buffered_bytes()
            );
        }
    }
    (messages, None)
}

/// Checks that a message sent by the server parses to the same message.
fn send(message: &Message<'_>) {
    let mut out = Vec::new();
    let (op, payload): (OpCode, &[u8]) = match message {
        Message::Text(text) => (OpCode::Text, text.as_bytes()),
        Message::Binary(bytes) => (OpCode::Binary, bytes),
        Message::Ping(bytes) => (OpCode::Ping, bytes),
        Message::Pong(bytes) => (OpCode::Pong, bytes),
        Message::Close(close) => {
            let close = close.as_ref();
            frame::write_close(
                close.map(|close| close.code),
                close.map_or("", |close| &close.reason),
                &mut out,
            );
            let (op, payload, rest) = frame::split(&out).expect("a frame of our own");
            assert!(op == OpCode::Close && rest.is_empty());
            assert_eq!(payload.len(), close.map_or(0, |close| 2 + close.reason.len()));
            return;
        }
    };
    assert!(payload.len() <= if op.is_control() { 125 } else { LIMITS.max_message });
    frame::write(op, payload, &mut out);
    assert_eq!(frame::split(&out), Some((op, payload, &[][..])));
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let whole = read(std::iter::once(bytes));
    assert_eq!(whole, read(bytes.chunks(1)));
    assert_eq!(whole, read(bytes.chunks(usize::from(size).max(1))));
    whole.0.iter().for_each(send);
    frame::split(bytes);
});
