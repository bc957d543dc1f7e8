//! Request and response headers (schemas `RequestHeader` v1-2, `ResponseHeader` v0-1).

use bytes::{BufMut, BytesMut};
use kafka_protocol::protocol::StrBytes;
use ottla_model::wire::{Reader, WireError};

use crate::ApiKey;
use crate::part::put_unsigned_varint;

/// Who asks what, in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub key: ApiKey,
    /// As sent: ask `ApiSpec::accepts` before decoding. ApiVersions is answered at any version (KIP-511).
    pub version: i16,
    pub correlation_id: i32,
    /// A slice of the frame; bytes that are not UTF-8 are replaced, as Java does.
    pub client_id: Option<StrBytes>,
}

/// Why a frame has no header that can be read. Kafka closes the connection for each of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("api key {0} is not known")]
    UnknownApiKey(i16),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl RequestHeader {
    /// Takes the header off the front of a frame (without its length) and leaves the body.
    ///
    /// The version is not checked against the API's range: it only decides whether tagged fields follow.
    pub fn split_from(frame: &mut BytesMut) -> Result<Self, HeaderError> {
        let mut reader = Reader::new(frame);
        let code = reader.i16()?;
        let key = ApiKey::from_code(code).ok_or(HeaderError::UnknownApiKey(code))?;
        let version = reader.i16()?;
        let correlation_id = reader.i32()?;
        // KIP-482 left the client id a plain nullable string, so that any version of the header can be read up to it.
        let client_id = match reader.i16()? {
            -1 => None,
            len => {
                let len = usize::try_from(len).map_err(|_| WireError::BadLength(i64::from(len)))?;
                let end = frame.len() - reader.remaining().len() + len;
                reader.take(len)?;
                Some(end - len..end)
            }
        };
        if key.spec().is_flexible(version) {
            reader.skip_tagged_fields()?;
        }
        let header_len = frame.len() - reader.remaining().len();
        let header = frame.split_to(header_len).freeze();
        let client_id = client_id.map(|range| {
            let bytes = header.slice(range);
            StrBytes::from_utf8(bytes.clone())
                .unwrap_or_else(|_| StrBytes::from_string(String::from_utf8_lossy(&bytes).into_owned()))
        });
        Ok(Self { key, version, correlation_id, client_id })
    }

    /// Appends the header in the form that its API and version ask for.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), crate::EncodeError> {
        out.put_i16(self.key.code());
        out.put_i16(self.version);
        out.put_i32(self.correlation_id);
        match &self.client_id {
            None => out.put_i16(-1),
            Some(id) => {
                out.put_i16(
                    i16::try_from(id.len()).map_err(|_| crate::EncodeError::TooLong { len: id.len() })?,
                );
                out.put_slice(id.as_bytes());
            }
        }
        if self.key.spec().is_flexible(self.version) {
            put_unsigned_varint(out, 0);
        }
        Ok(())
    }
}

/// Appends the header of an answer to a request of this API and version.
pub fn encode_response_header(key: ApiKey, version: i16, correlation_id: i32, out: &mut BytesMut) {
    out.put_i32(correlation_id);
    if key.spec().response_header_version(version) > 0 {
        put_unsigned_varint(out, 0);
    }
}

/// Takes a response's header off the front of a frame and gives its correlation id.
pub fn split_response_header(key: ApiKey, version: i16, frame: &mut BytesMut) -> Result<i32, HeaderError> {
    let mut reader = Reader::new(frame);
    let correlation_id = reader.i32()?;
    if key.spec().response_header_version(version) > 0 {
        reader.skip_tagged_fields()?;
    }
    let header_len = frame.len() - reader.remaining().len();
    let _ = frame.split_to(header_len);
    Ok(correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(key: i16, version: i16, rest: &[u8]) -> BytesMut {
        let mut frame = BytesMut::new();
        frame.put_i16(key);
        frame.put_i16(version);
        frame.put_i32(7);
        frame.put_slice(rest);
        frame
    }

    fn header(key: ApiKey, version: i16, client_id: Option<&'static str>) -> RequestHeader {
        RequestHeader { key, version, correlation_id: 7, client_id: client_id.map(StrBytes::from_static_str) }
    }

    #[test]
    fn headers_read_back_and_leave_the_body() {
        for sent in [
            header(ApiKey::Metadata, 1, Some("kcat")),
            header(ApiKey::Metadata, 12, None),
            header(ApiKey::ApiVersions, 99, Some("")),
            header(ApiKey::SaslHandshake, 1, Some("c")),
        ] {
            let mut frame = BytesMut::new();
            sent.encode(&mut frame).unwrap();
            frame.put_slice(b"body");
            assert_eq!(RequestHeader::split_from(&mut frame).unwrap(), sent);
            assert_eq!(&frame[..], b"body");
        }
    }

    #[test]
    fn unknown_tagged_fields_are_skipped() {
        let mut frame = frame(3, 9, &[0xff, 0xff, 1, 5, 2, 0xaa, 0xbb, 0x77]);
        assert_eq!(RequestHeader::split_from(&mut frame).unwrap(), header(ApiKey::Metadata, 9, None));
        assert_eq!(&frame[..], [0x77]);
    }

    #[test]
    fn client_id_that_is_not_utf8_is_replaced() {
        let mut frame = frame(3, 0, &[0, 2, b'a', 0xe9]);
        let header = RequestHeader::split_from(&mut frame).unwrap();
        assert_eq!(header.client_id.as_deref(), Some("a\u{fffd}"));
    }

    #[test]
    fn bad_headers_are_errors() {
        let whole = frame(3, 9, &[0, 1, b'c', 0]);
        for len in 0..whole.len() {
            let cut = &mut BytesMut::from(&whole[..len]);
            assert!(matches!(RequestHeader::split_from(cut), Err(HeaderError::Wire(_))), "{len} bytes");
        }
        let negative = &mut frame(3, 0, &[0xff, 0xfe]);
        assert_eq!(RequestHeader::split_from(negative), Err(WireError::BadLength(-2).into()));
        let unknown = &mut frame(4, 0, &[0xff, 0xff]);
        assert_eq!(RequestHeader::split_from(unknown), Err(HeaderError::UnknownApiKey(4)));
    }

    #[test]
    fn response_header_has_tags_where_the_version_is_flexible_except_for_api_versions() {
        for (key, version, len) in
            [(ApiKey::Metadata, 8, 4), (ApiKey::Metadata, 9, 5), (ApiKey::ApiVersions, 3, 4)]
        {
            let mut out = BytesMut::new();
            encode_response_header(key, version, 42, &mut out);
            assert_eq!(out.len(), len);
            assert_eq!(split_response_header(key, version, &mut out), Ok(42));
            assert!(out.is_empty());
        }
    }
}
