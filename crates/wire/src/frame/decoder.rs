//! Decoder from bytes to messages. Whole frames are borrowed from the read buffer; incomplete ones are
//! assembled here. Not here: the rules of a single header (`header`), and the answers to pings and closes
//! (the session).

use std::borrow::Cow;

use super::header::{Header, MAX_HEADER};
use super::mask::unmask;
use super::{CloseFrame, FrameError, Limits, Message, OpCode};

/// The server side of RFC 6455's framing for one connection.
///
/// An idle decoder is one word without heap. While a frame or a fragmented message is incomplete, it holds
/// a box with the bytes so far; [`buffered_bytes`](Self::buffered_bytes) counts them.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// The result of one call of [`Decoder::decode`].
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with. All of it when `message` is `None`.
    pub consumed: usize,
    /// The message which ended with them, if one did.
    pub message: Option<Message<'a>>,
}

#[derive(Debug, Default)]
struct Partial {
    stage: Stage,
    message: Option<Assembly>,
}

#[derive(Debug, Default)]
enum Stage {
    /// Between frames.
    #[default]
    Border,
    /// Within a header.
    Head { bytes: [u8; MAX_HEADER], len: usize },
    /// Within a payload.
    Payload(Payload),
}

#[derive(Debug)]
struct Payload {
    header: Header,
    done: usize,
    left: usize,
    /// Maximum size of the message after this frame, as far as known. Its buffer stays within that.
    ceiling: usize,
    /// A control frame's payload so far; a data frame's goes straight to its message.
    control: Vec<u8>,
}

/// A message that is not complete: all its fragments in one buffer.
#[derive(Debug)]
struct Assembly {
    text: bool,
    data: Vec<u8>,
    /// `data` is valid UTF-8 up to here. At most the start of one character follows.
    checked: usize,
    fragments: u32,
}

impl Decoder {
    /// Reads from the start of `input` to the end of one message or control frame, or of the input. Call it
    /// again with the bytes after the consumed ones.
    ///
    /// Payloads are unmasked in place. A message that is one frame in `input` is borrowed without a copy.
    /// Everything incomplete is copied, so the caller may reuse `input`.
    ///
    /// # Errors
    /// The broken rule of RFC 6455 or the exceeded limit, as soon as the bytes show it. The decoder drops
    /// its buffers; the bytes that follow have no meaning.
    pub fn decode<'a>(&mut self, limits: &Limits, input: &'a mut [u8]) -> Result<Decoded<'a>, FrameError> {
        let result = self.advance(limits, input);
        if result.is_err() {
            self.partial = None;
        }
        result
    }

    /// Bytes of heap held for incomplete messages; 0 when idle. At most [`Limits::max_message`] plus a
    /// small constant.
    pub fn buffered_bytes(&self) -> usize {
        let Some(partial) = &self.partial else { return 0 };
        let data = partial
            .message
            .as_ref()
            .map_or(0, |message| message.data.capacity());
        let control = match &partial.stage {
            Stage::Payload(payload) => payload.control.capacity(),
            Stage::Border | Stage::Head { .. } => 0,
        };
        size_of::<Partial>() + data + control
    }

    fn advance<'a>(&mut self, limits: &Limits, input: &'a mut [u8]) -> Result<Decoded<'a>, FrameError> {
        let mut at = 0;
        loop {
            if !self.is_in_payload() {
                let Some((header, used)) = self.take_header(input.get(at..).unwrap_or_default())? else {
                    return Ok(Decoded {
                        consumed: input.len(),
                        message: None,
                    });
                };
                at += used;
                let left = self.admit(&header, limits)?;
                let end = at.saturating_add(left);
                if is_whole(&header) && end <= input.len() {
                    self.release();
                    let payload = input.get_mut(at..end).unwrap_or_default();
                    unmask(payload, header.mask, 0);
                    let message = message(header.op, payload)?;
                    return Ok(Decoded {
                        consumed: end,
                        message: Some(message),
                    });
                }
                self.begin(header, left, limits)?;
            }
            let (used, message) = self.take_payload(input.get_mut(at..).unwrap_or_default())?;
            at += used;
            if message.is_some() || at == input.len() {
                return Ok(Decoded {
                    consumed: at,
                    message,
                });
            }
        }
    }

    fn is_in_payload(&self) -> bool {
        matches!(
            self.partial.as_deref(),
            Some(Partial {
                stage: Stage::Payload(_),
                ..
            })
        )
    }

    /// The header at the start of `input`, possibly begun in an earlier input. `None` if all bytes were
    /// copied and more are needed.
    fn take_header(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, FrameError> {
        let split = matches!(
            self.partial.as_deref(),
            Some(Partial {
                stage: Stage::Head { .. },
                ..
            })
        );
        if !split {
            if let Some(found) = Header::parse(input)? {
                return Ok(Some(found));
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.partial().stage = Stage::Head {
                bytes: [0; MAX_HEADER],
                len: 0,
            };
        }
        let stage = &mut self.partial().stage;
        let Stage::Head { bytes, len } = stage else {
            return Ok(None);
        };
        for (used, &byte) in (1..).zip(input) {
            let Some(slot) = bytes.get_mut(*len) else { break };
            *slot = byte;
            *len += 1;
            if let Some((header, _)) = Header::parse(bytes.get(..*len).unwrap_or_default())? {
                *stage = Stage::Border;
                return Ok(Some((header, used)));
            }
        }
        Ok(None)
    }

    /// Checks the header against the open message and the limits. Returns the payload's length.
    fn admit(&self, header: &Header, limits: &Limits) -> Result<usize, FrameError> {
        let open = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        let assembled = match (header.op, open) {
            (OpCode::Continuation, None) => return Err(FrameError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(FrameError::ExpectedContinuation),
            (OpCode::Continuation, Some(message)) => message.data.len(),
            (OpCode::Text | OpCode::Binary, None) => 0,
            // The header's rules bound them to 125 bytes already.
            (OpCode::Close | OpCode::Ping | OpCode::Pong, _) => {
                return usize::try_from(header.len).map_err(|_| FrameError::ControlTooLong);
            }
        };
        let room = limits.max_message.saturating_sub(assembled);
        match usize::try_from(header.len) {
            Ok(len) if len <= room => Ok(len),
            _ => Err(FrameError::MessageTooLong {
                limit: limits.max_message,
            }),
        }
    }

    /// Starts the payload of a frame that cannot be borrowed.
    fn begin(&mut self, header: Header, left: usize, limits: &Limits) -> Result<(), FrameError> {
        let partial = self.partial();
        let assembled = partial.message.as_ref().map_or(0, |message| message.data.len());
        let ceiling = if header.fin {
            assembled + left
        } else {
            limits.max_message
        };
        partial.stage = Stage::Payload(Payload {
            header,
            done: 0,
            left,
            ceiling,
            control: Vec::new(),
        });
        if header.op.is_control() {
            return Ok(());
        }
        let message = partial
            .message
            .get_or_insert_with(|| Assembly::new(header.op == OpCode::Text));
        message.fragments = message.fragments.saturating_add(1);
        if message.fragments > limits.max_fragments {
            return Err(FrameError::TooManyFragments {
                limit: limits.max_fragments,
            });
        }
        Ok(())
    }

    /// Copies the part of the open payload that `input` contains. Returns its length, and the message if it
    /// is complete.
    fn take_payload(&mut self, input: &mut [u8]) -> Result<(usize, Option<Message<'static>>), FrameError> {
        let Some(partial) = self.partial.as_deref_mut() else {
            return Ok((0, None));
        };
        let Stage::Payload(payload) = &mut partial.stage else {
            return Ok((0, None));
        };
        let used = payload.left.min(input.len());
        let bytes = input.get_mut(..used).unwrap_or_default();
        unmask(bytes, payload.header.mask, payload.done);
        if payload.header.op.is_control() {
            payload.control.extend_from_slice(bytes);
        } else if let Some(message) = &mut partial.message {
            message.append(bytes, payload.ceiling)?;
        }
        payload.done += used;
        payload.left -= used;
        if payload.left > 0 {
            return Ok((used, None));
        }
        Ok((used, self.end_frame()?))
    }

    /// Ends the frame whose payload is complete. Returns the message if that was its last frame.
    fn end_frame(&mut self) -> Result<Option<Message<'static>>, FrameError> {
        let partial = self.partial();
        let Stage::Payload(payload) = std::mem::take(&mut partial.stage) else {
            return Ok(None);
        };
        let ended = if payload.header.op.is_control() {
            Some(message(payload.header.op, &payload.control)?.into_owned())
        } else if payload.header.fin {
            partial.message.take().map(Assembly::finish).transpose()?
        } else {
            None
        };
        self.release();
        Ok(ended)
    }

    fn partial(&mut self) -> &mut Partial {
        self.partial.get_or_insert_default()
    }

    /// Frees the box once it holds nothing.
    fn release(&mut self) {
        if matches!(
            self.partial.as_deref(),
            Some(Partial {
                stage: Stage::Border,
                message: None
            })
        ) {
            self.partial = None;
        }
    }
}

impl Assembly {
    const fn new(text: bool) -> Self {
        Self {
            text,
            data: Vec::new(),
            checked: 0,
            fragments: 0,
        }
    }

    /// Adds `bytes` to a message that will not grow beyond `ceiling`.
    fn append(&mut self, bytes: &[u8], ceiling: usize) -> Result<(), FrameError> {
        let needed = self.data.len() + bytes.len();
        if needed > self.data.capacity() {
            // Doubling keeps appends cheap. The buffer never grows ahead of received bytes: a header alone
            // must not cost memory.
            let target = (self.data.capacity() * 2).min(ceiling).max(needed);
            self.data.reserve_exact(target - self.data.len());
        }
        self.data.extend_from_slice(bytes);
        if self.text { self.check() } else { Ok(()) }
    }

    fn check(&mut self) -> Result<(), FrameError> {
        match simdutf8::compat::from_utf8(self.data.get(self.checked..).unwrap_or_default()) {
            Ok(valid) => self.checked += valid.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(FrameError::TextNotUtf8),
        }
        Ok(())
    }

    fn finish(self) -> Result<Message<'static>, FrameError> {
        if !self.text {
            return Ok(Message::Binary(Cow::Owned(self.data)));
        }
        // Checked byte by byte as it came, but only this makes it a `String`; it also finds a character cut
        // off at the end.
        let text = String::from_utf8(self.data).map_err(|_| FrameError::TextNotUtf8)?;
        Ok(Message::Text(Cow::Owned(text)))
    }
}

/// Nothing of this frame's message came before it, and nothing will come after it.
const fn is_whole(header: &Header) -> bool {
    header.op.is_control() || (header.fin && !matches!(header.op, OpCode::Continuation))
}

/// The message in an unmasked payload that is complete.
fn message(op: OpCode, payload: &[u8]) -> Result<Message<'_>, FrameError> {
    match op {
        OpCode::Text => {
            let text = simdutf8::basic::from_utf8(payload).map_err(|_| FrameError::TextNotUtf8)?;
            Ok(Message::Text(Cow::Borrowed(text)))
        }
        OpCode::Binary => Ok(Message::Binary(Cow::Borrowed(payload))),
        OpCode::Ping => Ok(Message::Ping(Cow::Borrowed(payload))),
        OpCode::Pong => Ok(Message::Pong(Cow::Borrowed(payload))),
        OpCode::Close => close(payload).map(Message::Close),
        OpCode::Continuation => Err(FrameError::UnexpectedContinuation),
    }
}

fn close(payload: &[u8]) -> Result<Option<CloseFrame<'_>>, FrameError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (&code, reason) = payload
        .split_first_chunk::<2>()
        .ok_or(FrameError::CloseTruncated)?;
    let code = u16::from_be_bytes(code);
    // RFC 6455, section 7.4, with the codes registered since (1012-1014). 1004-1006 and 1015 never travel.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameError::CloseCode(code));
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| FrameError::CloseReasonNotUtf8)?;
    Ok(Some(CloseFrame {
        code,
        reason: Cow::Borrowed(reason),
    }))
}
