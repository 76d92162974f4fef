//! A message in the protobuf encoding: its fields one after the other, each with its
//! number and the kind of its value before it.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// Kinds of values.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_AND_BYTES: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// A message that is being written. Each method appends a field of that number.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A number of the types `int32`, `int64`, `bool` and `enum`, where it is not negative.
    pub(super) fn integer(mut self, field: u64, value: u64) -> Self {
        self.key(field, VARINT);
        self.varint(value);
        self
    }

    pub(super) fn double(mut self, field: u64, value: f64) -> Self {
        self.key(field, EIGHT_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes, or a text.
    pub(super) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.key(field, LENGTH_AND_BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    pub(super) fn message(self, field: u64, value: Self) -> Self {
        self.bytes(field, value.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// Seven bits a byte, the lowest first; the highest bit of a byte says that another
    /// one follows.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification() {
        let message = Message::default().integer(1, 150);
        assert_eq!(message.as_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().bytes(2, "testing");
        assert_eq!(text.as_bytes(), b"\x12\x07testing");
        let nested = Message::default().message(3, message);
        assert_eq!(nested.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn the_largest_and_the_least() {
        let largest = Message::default().integer(16, u64::MAX);
        assert_eq!(largest.as_bytes()[..2], [0x80, 0x01]);
        assert_eq!(largest.as_bytes().len(), 2 + 10);
        assert_eq!(Message::default().integer(1, 0).as_bytes(), [8, 0]);
        assert_eq!(
            Message::default().float(2, -0.0).as_bytes(),
            [0x15, 0, 0, 0, 0x80]
        );
        let double = Message::default().double(1, 1.5);
        assert_eq!(double.as_bytes(), [9, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
    }
}
