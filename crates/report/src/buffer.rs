//! What a buffer says, which state has as a string in hexadecimal.

/// The bytes that a string stands for. Only a buffer has so many digits: a short string might be a name that
/// happens to be hexadecimal.
#[must_use]
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    (text.len() >= 16).then(|| hex::decode(text).ok()).flatten()
}

/// The byte that a buffer has over and over, if it has only one.
#[must_use]
pub fn repeated(buffer: &[u8]) -> Option<u8> {
    let (first, rest) = buffer.split_first()?;
    rest.iter().all(|byte| byte == first).then_some(*first)
}

/// The text in a buffer, if there is nothing but a text and zeros behind it.
#[must_use]
pub fn text(buffer: &[u8]) -> Option<&str> {
    let end = buffer.iter().rposition(|&byte| byte != 0)? + 1;
    let text = std::str::from_utf8(buffer.get(..end)?).ok()?;
    let is_text = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_text.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_told_from_a_name() {
        assert_eq!(bytes("7669727469302e30300000").map(|buffer| buffer.len()), Some(11));
        assert_eq!((bytes("c0ffee"), bytes("0x00000000002808000")), (None, None));
    }

    #[test]
    fn buffers_say_a_byte_or_a_text() {
        assert_eq!((repeated(&[0; 512]), repeated(&[1, 1, 2]), repeated(&[])), (Some(0), None, None));
        assert_eq!(text(b"virti0.00\0\0"), Some("virti0.00"));
        assert_eq!((text(b"abc\0"), text(b"a\x01bcd"), text(&[0; 8])), (None, None, None));
    }
}
