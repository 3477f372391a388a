//! Polling bodies: the packet limit holds, and decoded packets round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomful_wire::engine::payload::{decode, encode_binary, encode_text};
use roomful_wire::engine::{Packet, PacketError};

const MAX_PACKETS: usize = 16;

fuzz_target!(|body: &[u8]| {
    let separators = body.iter().filter(|&&byte| byte == 0x1E).count();
    let packets = match decode(body, MAX_PACKETS) {
        Ok(packets) => packets,
        Err(PacketError::TooManyPackets { limit }) => {
            assert!(limit == MAX_PACKETS && separators >= MAX_PACKETS);
            return;
        }
        Err(_) => return,
    };
    assert_eq!(packets.len(), separators + 1);
    assert!(packets.len() <= MAX_PACKETS);
    let mut out = Vec::new();
    for packet in &packets {
        match packet {
            Packet::Open(data) => encode_text(&mut out, &format!("0{data}")),
            Packet::Close => encode_text(&mut out, "1"),
            Packet::Ping(data) => encode_text(&mut out, &format!("2{data}")),
            Packet::Pong(data) => encode_text(&mut out, &format!("3{data}")),
            Packet::Message(data) => encode_text(&mut out, &format!("4{data}")),
            Packet::Binary(bytes) => encode_binary(&mut out, bytes),
            Packet::Upgrade => encode_text(&mut out, "5"),
            Packet::Noop => encode_text(&mut out, "6"),
        }
    }
    assert_eq!(decode(&out, MAX_PACKETS), Ok(packets));
});
