//! Encodes and decodes one message repeatedly, to count instructions; `make instructions` runs it under
//! callgrind.
//!
//! `cargo run --release -p roomful-socket --example instructions -- CASE TIMES`
//!
//! Without arguments it lists the cases.

use std::{error::Error, hint::black_box, process::ExitCode};

use roomful_socket::{Namespace, Payload, WebSocketServer};
use roomful_wire::{
    engine::payload,
    frame::{self, Decoder, OpCode},
    parser::{self, Parser},
};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error>>;

/// Runs the case this many times.
type Case = fn(usize) -> Outcome;

const CASES: [(&str, Case); 11] = [
    ("frame-decode-short", |times| decode_frames(times, 100)),
    ("frame-decode-long", |times| decode_frames(times, 10_000)),
    ("frame-encode", |times| {
        encode_frames(times);
        Ok(())
    }),
    ("packet-parse-event", |times| parse(times, EVENT)),
    ("packet-parse-ack", |times| parse(times, r#"317[{"ok":true}]"#)),
    ("packet-parse-binary", parse_binary),
    ("payload-argument", read_argument),
    ("polling-decode", decode_polls),
    ("polling-encode", |times| {
        encode_polls(times);
        Ok(())
    }),
    ("event-encode", |times| {
        prepare(times, |root, message| {
            root.prepare("chat:receive_message", message).map(drop)
        })
    }),
    ("event-encode-offset", |times| {
        prepare(times, |root, message| {
            root.prepare_at("chat:receive_message", message, "0123abcd.17")
                .map(drop)
        })
    }),
];

const EVENT: &str =
    r#"217["chat:send_message",{"room":"general","text":"Good morning, everybody!","clientId":"0123-4567"}]"#;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let named = arguments.next();
    let case = CASES.iter().find(|(name, _)| Some(*name) == named.as_deref());
    let times = arguments.next().and_then(|text| text.parse().ok());
    let (Some((_, run)), Some(times)) = (case, times) else {
        list();
        return ExitCode::SUCCESS;
    };
    let outcome = run(times);
    if outcome.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn list() {
    for (name, _) in CASES {
        println!("{name}");
    }
}

/// A text frame as a client sends it.
fn masked(length: usize) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut bytes = Vec::new();
    frame::write(OpCode::Text, "x".repeat(length).as_bytes(), &mut bytes);
    let payload = bytes.split_off(bytes.len() - length);
    if let Some(second) = bytes.get_mut(1) {
        *second |= 0x80;
    }
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

fn decode_frames(times: usize, length: usize) -> Outcome {
    let bytes = masked(length);
    let (mut decoder, limits) = (Decoder::default(), frame::Limits::default());
    let mut buffer = bytes.clone();
    for _ in 0..times {
        // Decoding unmasks in place.
        buffer.copy_from_slice(&bytes);
        black_box(decoder.decode(&limits, black_box(&mut buffer))?);
    }
    Ok(())
}

fn encode_frames(times: usize) {
    let payload = "x".repeat(100);
    let mut out = Vec::with_capacity(200);
    for _ in 0..times {
        out.clear();
        frame::write(OpCode::Text, black_box(payload.as_bytes()), &mut out);
        black_box(&out);
    }
}

fn parse(times: usize, packet: &str) -> Outcome {
    let (mut parser, limits) = (Parser::default(), parser::Limits::default());
    for _ in 0..times {
        black_box(parser.text(&limits, black_box(packet))?);
    }
    Ok(())
}

fn parse_binary(times: usize) -> Outcome {
    const PACKET: &str = r#"51-["upload",{"_placeholder":true,"num":0}]"#;
    let (mut parser, limits) = (Parser::default(), parser::Limits::default());
    for _ in 0..times {
        parser.text(&limits, black_box(PACKET))?;
        black_box(parser.binary(&limits, black_box(&[7; 100]))?);
    }
    Ok(())
}

fn read_argument(times: usize) -> Outcome {
    let payload = Payload::one(&message())?;
    for _ in 0..times {
        black_box(black_box(&payload).arg::<Value>(0)?);
    }
    Ok(())
}

fn decode_polls(times: usize) -> Outcome {
    let body = [EVENT; 5].map(|packet| format!("4{packet}")).join("\u{1e}");
    for _ in 0..times {
        black_box(payload::decode(black_box(body.as_bytes()), 100)?);
    }
    Ok(())
}

fn encode_polls(times: usize) {
    let mut out = Vec::with_capacity(4096);
    for _ in 0..times {
        out.clear();
        for _ in 0..5 {
            payload::encode_text(&mut out, black_box(EVENT));
        }
        payload::encode_binary(&mut out, black_box(&[7; 100]));
        black_box(&out);
    }
}

fn prepare<E: Error + 'static>(times: usize, encode: fn(&Namespace, &Value) -> Result<(), E>) -> Outcome {
    let root = WebSocketServer::builder().build().of("/");
    let message = message();
    for _ in 0..times {
        encode(&root, black_box(&message))?;
    }
    Ok(())
}

fn message() -> Value {
    json!({ "room": "general", "seq": 17, "text": "Good morning, everybody!", "userId": "user-1" })
}
