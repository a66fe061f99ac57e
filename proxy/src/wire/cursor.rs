//! A cursor over one packet's payload: integers, strings and length-encoded values, never past the end.
//!
//! See dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_data_types.html.

use super::WireError;

/// Reads a payload from front to back. Every method fails with `Malformed` where bytes are missing.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// Name of the packet, for the error.
    packet: &'static str,
}

impl<'a> Cursor<'a> {
    pub fn new(payload: &'a [u8], packet: &'static str) -> Self {
        Cursor { rest: payload, packet }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn malformed(&self) -> WireError {
        WireError::Malformed(self.packet)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// `int<lenenc>`; 0xFB (NULL) and 0xFF (an error packet) are no lengths.
    pub fn length(&mut self) -> Result<u64, WireError> {
        match self.u8()? {
            small @ 0..=0xfa => Ok(u64::from(small)),
            0xfc => Ok(u64::from(self.u16()?)),
            0xfd => {
                let [a, b, c] = self.array()?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => self.u64(),
            _ => Err(self.malformed()),
        }
    }

    /// `string<lenenc>`. Borrows, so a false length cannot make anything large.
    pub fn length_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.length()?;
        let length = usize::try_from(length).map_err(|_| self.malformed())?;
        self.bytes(length)
    }

    /// `string<NUL>`, without the NUL.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|&b| b == 0).ok_or_else(|| self.malformed())?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Ok(text)
    }
}

/// Appends an `int<lenenc>`.
pub fn put_length(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0xfa => out.push(value as u8),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&(value as u16).to_le_bytes());
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&(value as u32).to_le_bytes()[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round_trip() {
        for value in [0, 250, 251, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut out = Vec::new();
            put_length(&mut out, value);
            assert_eq!(Cursor::new(&out, "test").length().unwrap(), value);
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_malformed() {
        assert!(
            Cursor::new(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255], "test")
                .length_bytes()
                .is_err()
        );
        assert!(Cursor::new(&[0xfb], "test").length().is_err());
    }
}
