//! Errors in a client's frames, one variant per rule of RFC 6455, with their close codes.

/// A broken rule of RFC 6455, or a limit. The connection is over: send a close frame with
/// [`close_code`](Self::close_code) and drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// RSV1-3 set without an extension that gives them a meaning (section 5.2).
    #[error("reserved bits are set in a frame, but no extension was agreed on")]
    ReservedBits,
    /// Opcodes 3-7 and 11-15 (section 5.2).
    #[error("opcode {0:#x} is reserved")]
    ReservedOpCode(u8),
    /// A client has to mask every frame (section 5.1).
    #[error("a frame from a client has to be masked")]
    NotMasked,
    /// A control frame without FIN (section 5.5).
    #[error("a control frame must not be fragmented")]
    ControlFragmented,
    /// A control frame with more than 125 bytes (section 5.5).
    #[error("a control frame carries at most 125 bytes")]
    ControlTooLong,
    /// A length in more bytes than it needs (section 5.2).
    #[error("a frame's length has to take the fewest bytes that hold it")]
    LengthNotMinimal,
    /// A 64-bit length with its highest bit set (section 5.2).
    #[error("a frame's length has its highest bit set")]
    LengthOverflow,
    /// A continuation with nothing to continue (section 5.4).
    #[error("a continuation frame came while no message was open")]
    UnexpectedContinuation,
    /// A new data frame amid a fragmented message (section 5.4).
    #[error("a new message began before the last one ended")]
    ExpectedContinuation,
    /// The message is longer than [`Limits::max_message`](super::Limits::max_message).
    #[error("a message is longer than the limit of {limit} bytes")]
    MessageTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The message has more fragments than [`Limits::max_fragments`](super::Limits::max_fragments).
    #[error("a message has more than {limit} fragments")]
    TooManyFragments {
        /// The limit in frames.
        limit: u32,
    },
    /// Text that is not UTF-8 (section 8.1); found as soon as the first bad byte is there.
    #[error("a text message is not UTF-8")]
    TextNotUtf8,
    /// A close frame of one byte: the code takes two (section 5.5.1).
    #[error("a close frame carries half a code")]
    CloseTruncated,
    /// A code that must not be sent in a frame (section 7.4).
    #[error("close code {0} must not be sent in a frame")]
    CloseCode(u16),
    /// A close reason that is not UTF-8 (section 5.5.1).
    #[error("the reason in a close frame is not UTF-8")]
    CloseReasonNotUtf8,
}

impl FrameError {
    /// The code to close with: 1002 protocol error, 1007 not UTF-8, 1009 too big (RFC 6455, section 7.4.1).
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 => 1007,
            Self::MessageTooLong { .. } | Self::TooManyFragments { .. } => 1009,
            _ => 1002,
        }
    }
}
