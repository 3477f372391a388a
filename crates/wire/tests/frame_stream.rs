//! Properties of the frame decoder: the result does not depend on how reads split the bytes, and memory is
//! bounded.

mod client;

use std::borrow::Cow;

use client::{BINARY, CONTINUATION, FIN, PING, TEXT, feed, frame, header, read};
use proptest::prelude::*;
use roomful_wire::frame::{Decoder, FrameError, Limits, Message};

/// A message and the frames that carry it.
#[derive(Debug, Clone)]
struct Sent {
    message: Message<'static>,
    bytes: Vec<u8>,
}

/// Cuts `payload` into fragments at `cuts`, with a ping before each further one.
fn fragments(opcode: u8, payload: &[u8], cuts: &[usize]) -> (Vec<u8>, usize) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
    cuts.sort_unstable();
    let mut bytes = Vec::new();
    let mut start = 0;
    for (index, &cut) in cuts.iter().enumerate() {
        let first = if index == 0 { opcode } else { CONTINUATION };
        bytes.extend(frame(first, &payload[start..cut]));
        bytes.extend(frame(FIN | PING, b"amid"));
        start = cut;
    }
    let first = if cuts.is_empty() { opcode } else { CONTINUATION };
    bytes.extend(frame(FIN | first, &payload[start..]));
    (bytes, cuts.len())
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let cuts = || prop::collection::vec(any::<usize>(), 0..4);
    let amid = |pings: usize, message: Message<'static>, bytes: Vec<u8>| {
        let ping = Sent {
            message: Message::Ping(Cow::Borrowed(b"amid")),
            bytes: Vec::new(),
        };
        let mut all = vec![ping; pings];
        all.push(Sent { message, bytes });
        all
    };
    prop_oneof![
        (".{0,200}", cuts()).prop_map(move |(text, cuts)| {
            let (bytes, pings) = fragments(TEXT, text.as_bytes(), &cuts);
            amid(pings, Message::Text(Cow::Owned(text)), bytes)
        }),
        (prop::collection::vec(any::<u8>(), 0..70_000), cuts()).prop_map(move |(data, cuts)| {
            let (bytes, pings) = fragments(BINARY, &data, &cuts);
            amid(pings, Message::Binary(Cow::Owned(data)), bytes)
        }),
        prop::collection::vec(any::<u8>(), 0..126).prop_map(|data| {
            let bytes = frame(FIN | PING, &data);
            vec![Sent {
                message: Message::Ping(Cow::Owned(data)),
                bytes,
            }]
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The sent messages come out, for any fragmentation and any split of the reads.
    #[test]
    fn any_chunking_gives_the_same_messages(
        sent in prop::collection::vec(sent(), 1..4),
        sizes in prop::collection::vec(prop_oneof![1usize..20, 1usize..70_000], 1..8),
    ) {
        let sent: Vec<Sent> = sent.into_iter().flatten().collect();
        let bytes: Vec<u8> = sent.iter().flat_map(|sent| sent.bytes.iter().copied()).collect();
        let expected: Vec<_> = sent.into_iter().map(|sent| sent.message).collect();
        prop_assert_eq!(&read(&Limits::default(), &bytes, &sizes), &(expected.clone(), None));
        prop_assert_eq!(&read(&Limits::default(), &bytes, &[]), &(expected, None));
    }

    /// Hostile bytes give the same result for any split too, within the memory limits.
    #[test]
    fn any_chunking_gives_the_same_error(
        bytes in prop::collection::vec(
            prop_oneof![Just(0x81u8), Just(0x80), Just(0x01), any::<u8>()],
            0..200,
        ),
        sizes in prop::collection::vec(1usize..20, 1..8),
    ) {
        let limits = Limits { max_message: 64, max_fragments: 3 };
        prop_assert_eq!(read(&limits, &bytes, &sizes), read(&limits, &bytes, &[]));
    }
}

#[test]
fn an_idle_decoder_is_one_word() {
    assert!(size_of::<Decoder>() <= 8, "{}", size_of::<Decoder>());
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    assert_eq!(decoder.buffered_bytes(), 0);
    let bytes = [frame(TEXT, b"a"), frame(FIN, b"b"), frame(FIN | TEXT, b"c")].concat();
    for byte in &bytes {
        feed(&mut decoder, &Limits::default(), &[*byte], &mut messages).unwrap();
    }
    assert_eq!(messages.len(), 2);
    assert_eq!(
        decoder.buffered_bytes(),
        0,
        "nothing is kept once the messages are complete"
    );
}

#[test]
fn a_whole_message_is_borrowed_from_the_read_buffer() {
    let mut bytes = frame(FIN | TEXT, b"hello");
    let range = bytes.as_ptr_range();
    let decoded = Decoder::default().decode(&Limits::default(), &mut bytes).unwrap();
    let Some(Message::Text(Cow::Borrowed(text))) = decoded.message else {
        panic!("{decoded:?}")
    };
    assert!(range.contains(&text.as_ptr()));
}

/// More input may follow the last byte of a message.
#[test]
fn only_one_message_is_consumed_at_a_time() {
    let first = frame(FIN | TEXT, b"one");
    let mut bytes = [first.clone(), frame(FIN | TEXT, b"two")].concat();
    let decoded = Decoder::default().decode(&Limits::default(), &mut bytes).unwrap();
    assert_eq!(decoded.consumed, first.len());
    assert_eq!(decoded.message, Some(Message::Text(Cow::Borrowed("one"))));
}

#[test]
fn an_announced_length_costs_nothing_until_it_is_sent() {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    feed(
        &mut decoder,
        &Limits::default(),
        &header(FIN | BINARY, 100_000),
        &mut messages,
    )
    .unwrap();
    feed(&mut decoder, &Limits::default(), b"a", &mut messages).unwrap();
    assert!(
        (1..400).contains(&decoder.buffered_bytes()),
        "{}",
        decoder.buffered_bytes()
    );
}

/// CVE-2026-48779: one-byte fragments must not cost more than their bytes.
#[test]
fn one_byte_fragments_are_coalesced_and_counted() {
    let limits = Limits {
        max_message: 2000,
        max_fragments: 1024,
    };
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    feed(&mut decoder, &limits, &frame(BINARY, b"x"), &mut messages).unwrap();
    for _ in 1..1024 {
        feed(&mut decoder, &limits, &frame(CONTINUATION, b"x"), &mut messages).unwrap();
        assert!(
            decoder.buffered_bytes() <= 2000 + 400,
            "{}",
            decoder.buffered_bytes()
        );
    }
    assert_eq!(
        feed(&mut decoder, &limits, &frame(CONTINUATION, b"x"), &mut messages),
        Err(FrameError::TooManyFragments { limit: 1024 })
    );
    assert!(messages.is_empty());
    assert_eq!(decoder.buffered_bytes(), 0);
}

/// A buffer that grows by doubling stops at the limit.
#[test]
fn a_buffer_does_not_grow_beyond_the_limit() {
    let limits = Limits {
        max_message: 10_000,
        max_fragments: 8,
    };
    for first in [BINARY, FIN | BINARY] {
        let mut decoder = Decoder::default();
        let bytes = [header(first, 10_000), vec![0; 9000]].concat();
        for piece in bytes.chunks(6000) {
            feed(&mut decoder, &limits, piece, &mut Vec::new()).unwrap();
        }
        assert!(
            (9000..10_400).contains(&decoder.buffered_bytes()),
            "{}",
            decoder.buffered_bytes()
        );
    }
}
