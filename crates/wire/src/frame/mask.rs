//! Takes the mask off a client's payload (RFC 6455, section 5.3).

/// Unmasks `data` in place. `offset` is where `data` begins in its frame's payload: the key goes round each
/// four bytes.
///
/// Eight bytes at a time; the compiler widens the loop to the vector registers of the machine.
pub(super) fn unmask(data: &mut [u8], key: [u8; 4], offset: usize) {
    let mut key = key;
    key.rotate_left(offset & 3);
    let [a, b, c, d] = key;
    let wide = u64::from_le_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_le_bytes(*chunk) ^ wide).to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::unmask;
    use proptest::prelude::*;

    proptest! {
        /// The rule as the RFC words it: octet i is XORed with octet i MOD 4 of the key.
        #[test]
        fn follows_the_rule(
            data in prop::collection::vec(any::<u8>(), 0..100),
            key: [u8; 4],
            offset in 0usize..9,
        ) {
            let expected: Vec<u8> =
                data.iter().enumerate().map(|(i, byte)| byte ^ key[(i + offset) % 4]).collect();
            let mut actual = data;
            unmask(&mut actual, key, offset);
            prop_assert_eq!(actual, expected);
        }
    }
}
