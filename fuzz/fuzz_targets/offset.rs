//! Offsets that returning clients claim: a position of this log that is applied, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomful_chat::fuzzing::Offsets;

const EPOCH: &str = "e1";
const APPLIED: u64 = 1_000;

fuzz_target!(|offset: &str| {
    let log = Offsets::new(EPOCH, APPLIED);
    let Some(position) = log.read(offset) else { return };
    assert!(position <= APPLIED);
    let written = log.write(position).expect("this log has offsets");
    assert_eq!(log.read(&written), Some(position));
    // Another log takes none of them.
    assert_eq!(Offsets::new("e2", APPLIED).read(offset), None);
    assert_eq!(Offsets::new(EPOCH, position).read(offset), Some(position));
});
