//! The client side of RFC 6455 for the tests, independent of the code under test.
#![allow(dead_code)] // Each test file uses a part of it.

use roomful_wire::frame::{Decoder, FrameError, Limits, Message};

/// The masking key of every frame here.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;
pub(crate) const FIN: u8 = 0x80;

/// A masked frame; `first` is its whole first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len() as u64);
    out.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

/// The header of a masked frame that announces `len` bytes, in the shortest form.
pub(crate) fn header(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first];
    if let Some(short) = u8::try_from(len).ok().filter(|&len| len < 126) {
        out.push(0x80 | short);
    } else if let Ok(medium) = u16::try_from(len) {
        out.push(0x80 | 0x7E);
        out.extend(medium.to_be_bytes());
    } else {
        out.push(0x80 | 0x7F);
        out.extend(len.to_be_bytes());
    }
    out.extend(KEY);
    out
}

/// Decodes `bytes` in pieces of `sizes`; the last size repeats.
pub(crate) fn read(
    limits: &Limits,
    bytes: &[u8],
    sizes: &[usize],
) -> (Vec<Message<'static>>, Option<FrameError>) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    let mut sizes = sizes.iter().copied().map(|size| size.max(1));
    let mut size = bytes.len().max(1);
    let mut rest = bytes;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        if let Err(error) = feed(&mut decoder, limits, piece, &mut messages) {
            return (messages, Some(error));
        }
    }
    (messages, None)
}

/// Decodes one piece to its end, as a connection does.
pub(crate) fn feed(
    decoder: &mut Decoder,
    limits: &Limits,
    piece: &[u8],
    messages: &mut Vec<Message<'static>>,
) -> Result<(), FrameError> {
    let mut buffer = piece.to_vec();
    let mut at = 0;
    while at < buffer.len() {
        let step = decoder.decode(limits, &mut buffer[at..])?;
        assert!(
            step.consumed > 0,
            "a decoder that stands still would spin for ever"
        );
        assert!(step.message.is_some() || at + step.consumed == piece.len());
        at += step.consumed;
        messages.extend(step.message.map(Message::into_owned));
    }
    Ok(())
}
