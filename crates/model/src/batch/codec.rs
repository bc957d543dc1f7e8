//! Compression of a batch's records section. Decompression is capped: a batch of a few bytes may claim gigabytes.
//!
//! The forms on the wire: gzip members; snappy in xerial's frames (Java client) or as one raw block (librdkafka);
//! an LZ4 frame (not the legacy one of magic 0); a zstd frame (KIP-110).

use std::borrow::Cow;
use std::io::{Read, Write};

use super::header::{BatchError, BatchHeader, Compression, HEADER_LEN};

/// snappy-java's stream header: magic, then version 1 and lowest compatible version 1.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// snappy-java's default block, which the Java client uses.
const XERIAL_BLOCK: usize = 32 * 1024;

/// The records section of a whole batch (`batch` starts at its header), decompressed; borrowed if it was not
/// compressed. `limit` bounds the bytes that come out: more is [`BatchError::TooLarge`].
pub fn decompress<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, [u8]>, BatchError> {
    let size = header.size();
    let section = batch.get(HEADER_LEN..size).ok_or(BatchError::Short { wanted: size, left: batch.len() })?;
    match header.compression()? {
        Compression::None => Ok(Cow::Borrowed(section)),
        codec => decompress_section(codec, section, limit).map(Cow::Owned),
    }
}

/// Decompresses a records section by itself, into at most `limit` bytes.
pub fn decompress_section(codec: Compression, section: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    match codec {
        Compression::None => Ok(section.to_vec()),
        Compression::Gzip => drain(flate2::bufread::MultiGzDecoder::new(section), section.len(), limit),
        Compression::Snappy => unsnap(section, limit),
        Compression::Lz4 if !lz4_frame_is_whole(section) => Err(BatchError::Decompress),
        Compression::Lz4 => drain(lz4_flex::frame::FrameDecoder::new(section), section.len(), limit),
        // No frame at all is the end of the records to zstd-jni, not a damaged frame.
        Compression::Zstd if section.is_empty() => Ok(Vec::new()),
        Compression::Zstd => {
            let decoder =
                zstd::stream::read::Decoder::with_buffer(section).map_err(|_| BatchError::Decompress)?;
            drain(decoder, section.len(), limit)
        }
    }
}

/// A records section, unpacked as it is read.
pub(super) fn reader<'a>(codec: Compression, section: &'a [u8]) -> Result<Box<dyn Read + 'a>, BatchError> {
    Ok(match codec {
        Compression::None => Box::new(section),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(section)),
        Compression::Snappy => Box::new(SnappyBlocks::new(section)),
        Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(section)),
        Compression::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(section).map_err(|_| BatchError::Decompress)?)
        }
    })
}

/// Snappy's blocks one after the other, of which each is a small multiple of its own length.
struct SnappyBlocks<'a> {
    left: &'a [u8],
    is_framed: bool,
    block: Vec<u8>,
    at: usize,
}

impl<'a> SnappyBlocks<'a> {
    fn new(section: &'a [u8]) -> Self {
        Self { left: section, is_framed: section.starts_with(XERIAL_MAGIC), block: Vec::new(), at: 0 }
    }

    fn unpack_next(&mut self) -> Result<(), BatchError> {
        let left = std::mem::take(&mut self.left);
        if self.is_framed {
            self.left = unsnap_frame(left, usize::MAX, &mut self.block)?;
            Ok(())
        } else {
            unsnap_block(left, usize::MAX, &mut self.block)
        }
    }
}

impl Read for SnappyBlocks<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.block.len() {
            if self.left.is_empty() {
                return Ok(0);
            }
            self.block.clear();
            self.at = 0;
            self.unpack_next().map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidData))?;
        }
        let len = buf.len().min(self.block.len() - self.at);
        buf[..len].copy_from_slice(&self.block[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// Lz4's level that means the fast compressor, not the one that looks for the best match.
const LZ4_FAST: i32 = 9;
/// What liblz4 takes for its high compressor.
const LZ4_HIGH: std::ops::RangeInclusive<i32> = 3..=12;

/// Compresses a records section. `level` is the codec's own (gzip 1 to 9, lz4 1 to 17, zstd -131072 to 22; ignored for
/// snappy); `None` is Kafka's default.
pub fn compress(codec: Compression, level: Option<i32>, section: &[u8]) -> Result<Vec<u8>, BatchError> {
    let written = match codec {
        Compression::None => Ok(section.to_vec()),
        Compression::Gzip => gzip(level, section),
        Compression::Snappy => return snap(section),
        Compression::Lz4 => match level.unwrap_or(LZ4_FAST) {
            LZ4_FAST => lz4(section),
            level => lz4_high(level, section),
        },
        Compression::Zstd => zstd::stream::encode_all(section, level.unwrap_or(3)),
    };
    written.map_err(|_| BatchError::Compress)
}

/// Whether a frame has its end mark, without which Java clients refuse it; the decoder here does not ask for it.
fn lz4_frame_is_whole(frame: &[u8]) -> bool {
    const BLOCK_CHECKSUM: u8 = 1 << 4;
    const CONTENT_SIZE: u8 = 1 << 3;
    const DICTIONARY_ID: u8 = 1;
    /// Of a block's length: it is stored as it was.
    const STORED: u32 = 1 << 31;
    let Some(flags) = frame.get(4).copied() else { return false };
    let optional = |flag: u8, len: usize| if flags & flag == 0 { 0 } else { len };
    // Magic, flags, block size, checksum of the header.
    let mut at = 7 + optional(CONTENT_SIZE, 8) + optional(DICTIONARY_ID, 4);
    while let Some(len) = frame.get(at..).and_then(|left| left.first_chunk::<4>()) {
        let len = u32::from_le_bytes(*len) & !STORED;
        if len == 0 {
            return true;
        }
        at += 4 + usize::try_from(len).unwrap_or(usize::MAX / 2) + optional(BLOCK_CHECKSUM, 4);
    }
    false
}

fn drain(mut from: impl Read, compressed_len: usize, limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::with_capacity(compressed_len.saturating_mul(3).min(limit));
    let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.by_ref().take(cap).read_to_end(&mut out).map_err(|_| BatchError::Decompress)?;
    if out.len() > limit { Err(BatchError::TooLarge(limit)) } else { Ok(out) }
}

fn unsnap(section: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::new();
    if !section.starts_with(XERIAL_MAGIC) {
        unsnap_block(section, limit, &mut out)?;
        return Ok(out);
    }
    let mut left = section;
    while !left.is_empty() {
        left = unsnap_frame(left, limit, &mut out)?;
    }
    Ok(out)
}

/// Unpacks the next of xerial's blocks, or passes over a header; gives what is left.
fn unsnap_frame<'a>(left: &'a [u8], limit: usize, out: &mut Vec<u8>) -> Result<&'a [u8], BatchError> {
    // Concatenated streams repeat the header; snappy-java skips it wherever a block could start.
    if left.starts_with(XERIAL_MAGIC) {
        return left.get(XERIAL_HEADER.len()..).ok_or(BatchError::Decompress);
    }
    let (len, rest) = left.split_first_chunk::<4>().ok_or(BatchError::Decompress)?;
    let len = usize::try_from(i32::from_be_bytes(*len)).map_err(|_| BatchError::Decompress)?;
    let block = rest.get(..len).ok_or(BatchError::Decompress)?;
    unsnap_block(block, limit, out)?;
    Ok(&rest[len..])
}

fn unsnap_block(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let len = snap::raw::decompress_len(block).map_err(|_| BatchError::Decompress)?;
    let start = out.len();
    // Snappy's densest element makes 64 bytes of 3: a larger claim is a lie, refused before it allocates.
    if len / 22 > block.len() {
        return Err(BatchError::Decompress);
    }
    if len > limit.saturating_sub(start) {
        return Err(BatchError::TooLarge(limit));
    }
    out.resize(start + len, 0);
    let written =
        snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(|_| BatchError::Decompress)?;
    if written == len { Ok(()) } else { Err(BatchError::Decompress) }
}

fn gzip(level: Option<i32>, section: &[u8]) -> std::io::Result<Vec<u8>> {
    let level = level.and_then(|level| u32::try_from(level).ok()).filter(|level| *level <= 9);
    let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(section)?;
    encoder.finish()
}

fn snap(section: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut out = XERIAL_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in section.chunks(XERIAL_BLOCK) {
        let block = encoder.compress_vec(block).map_err(|_| BatchError::Compress)?;
        let len = i32::try_from(block.len()).map_err(|_| BatchError::Compress)?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}

fn lz4(section: &[u8]) -> std::io::Result<Vec<u8>> {
    // As Kafka's Lz4BlockOutputStream: independent blocks of 64 KiB, no checksums but the header's.
    let info = lz4_flex::frame::FrameInfo::new()
        .block_size(lz4_flex::frame::BlockSize::Max64KB)
        .block_mode(lz4_flex::frame::BlockMode::Independent);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(section)?;
    encoder.finish().map_err(std::io::Error::other)
}

/// As Kafka's `highCompressor(level)` (KIP-390).
fn lz4_high(level: i32, section: &[u8]) -> std::io::Result<Vec<u8>> {
    let level = level.clamp(*LZ4_HIGH.start(), *LZ4_HIGH.end());
    let mut encoder = lz4::EncoderBuilder::new()
        .level(u32::try_from(level).unwrap_or(0))
        .block_size(lz4::BlockSize::Max64KB)
        .block_mode(lz4::BlockMode::Independent)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .build(Vec::new())?;
    encoder.write_all(section)?;
    let (out, ended) = encoder.finish();
    ended.map(|()| out)
}
