//! The compressed parts of an object file: `.gnu_debugdata`, and compressed debug sections.

use std::io::Read as _;

use super::{
    bytes::FileBytes,
    elf::{Elf, Fields, Section, malformed},
    error::ReadError,
    limits::{DEBUG_DATA_SIZE_BYTES_MAX, ZSTD_WINDOW_LOG_MAX},
};

/// `ELFCOMPRESS_ZLIB`
const COMPRESSION_ZLIB: u32 = 1;
/// `ELFCOMPRESS_ZSTD`
const COMPRESSION_ZSTD: u32 = 2;

/// Decompresses `.gnu_debugdata`: an ELF file with the symbols that the dynamic table lacks.
///
/// # Errors
/// [`ReadError::Bounded`] above `size_max` bytes, found out before anything is decompressed.
pub(super) fn mini_debug_info(elf: &Elf, size_max: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(section) = elf.section_named(".gnu_debugdata") else {
        return Ok(None);
    };
    let compressed = elf
        .bytes
        .copy_of(section.offset, section.size, DEBUG_DATA_SIZE_BYTES_MAX)?;
    // The decoder keeps all it has made, whatever the stream says of its window, so the size is
    // counted first.
    let size = unpacked_size(&compressed).ok_or(malformed("an xz stream"))?;
    if size > size_max {
        return Err(ReadError::Bounded { what: "memory" });
    }
    elf.bytes.budget().spend(u32::MAX)?;
    let mut unpacked = Vec::new();
    lzma_rs::xz_decompress(&mut compressed.as_slice(), &mut unpacked)
        .or(Err(malformed("an xz stream")))?;
    Ok(Some(unpacked))
}

/// Counts the bytes that an xz stream unpacks to, from the heads of its LZMA2 chunks.
///
/// Source: xz file format 1.1.0, §2.1 and §3.1, for blocks; `lzma-rs`, which reads the same heads,
/// for chunks.
fn unpacked_size(stream: &[u8]) -> Option<u64> {
    let (header, mut rest) = stream.split_first_chunk::<12>()?;
    let check_size = match header.get(7)? & 0xf {
        0 => 0_usize,
        1 => 4,
        4 => 8,
        10 => 32,
        _ => return None,
    };
    let mut size = 0_u64;
    loop {
        let head = *rest.first()?;
        if head == 0 {
            // The index: no more blocks.
            return Some(size);
        }
        let body = rest.get(usize::from(head).checked_add(1)?.checked_mul(4)?..)?;
        let (block_size, after) = chunks_size(body)?;
        size = size.checked_add(block_size)?;
        let used = body.len().checked_sub(after.len())?;
        let padding = used.checked_next_multiple_of(4)?.checked_sub(used)?;
        rest = after.get(padding.checked_add(check_size)?..)?;
    }
}

/// Counts the bytes that the chunks of one block unpack to; returns what follows the block.
fn chunks_size(body: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = body;
    let mut size = 0_u64;
    loop {
        let (control, after) = rest.split_first()?;
        let (unpacked, packed) = match control {
            0 => return Some((size, after)),
            1 | 2 => {
                let plain = u64::from(big_endian(after, 0)?).checked_add(1)?;
                (plain, plain.checked_add(2)?)
            }
            0x80.. => {
                let high = u64::from(control & 0x1f) << 16;
                let unpacked = (high | u64::from(big_endian(after, 0)?)).checked_add(1)?;
                let properties = u64::from(*control >= 0xc0);
                let packed = u64::from(big_endian(after, 2)?).checked_add(5)?;
                (unpacked, packed.checked_add(properties)?)
            }
            _ => return None,
        };
        size = size.checked_add(unpacked)?;
        rest = after.get(usize::try_from(packed).ok()?..)?;
    }
}

/// Two bytes, the high one first.
fn big_endian(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}

/// Decompresses a section (`SHF_COMPRESSED`).
///
/// # Errors
/// [`ReadError::Bounded`] when it unpacks to more than `size_max` bytes.
pub(super) fn section_content(
    elf: &Elf,
    section: &Section,
    size_max: u64,
) -> Result<Vec<u8>, ReadError> {
    let compressed = elf
        .bytes
        .copy_of(section.offset, section.size, DEBUG_DATA_SIZE_BYTES_MAX)?;
    let fields = Fields {
        bytes: &compressed,
        is_64: elf.is_64,
    };
    let (kind, size) = (fields.double(0, 0)?, fields.word(4, 8)?);
    if size > size_max {
        return Err(ReadError::Bounded { what: "memory" });
    }
    let data = compressed
        .get(if elf.is_64 { 24 } else { 12 }..)
        .ok_or(malformed("a compressed section"))?;
    match kind {
        COMPRESSION_ZLIB => unpack(flate2::read::ZlibDecoder::new(data), size, &elf.bytes),
        COMPRESSION_ZSTD => {
            let mut decoder = zstd::Decoder::with_buffer(data)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            unpack(decoder, size, &elf.bytes)
        }
        _ => Err(malformed("a compression of unknown kind")),
    }
}

/// Reads exactly `size` bytes out of a decoder, looking at the clock in between.
fn unpack(
    mut decoder: impl std::io::Read,
    size: u64,
    bytes: &FileBytes,
) -> Result<Vec<u8>, ReadError> {
    let mut content = Vec::new();
    while (content.len() as u64) < size {
        bytes.budget().spend(u32::MAX)?;
        let left = size.saturating_sub(content.len() as u64);
        let read = decoder
            .by_ref()
            .take(left.min(1 << 20))
            .read_to_end(&mut content)
            .or(Err(malformed("a compressed section")))?;
        if read == 0 {
            return Err(malformed("a compressed section"));
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::unpacked_size;

    /// Compresses with the system's `xz`.
    fn xz(content: &[u8], options: &[&str]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, content).unwrap();
        let output = Command::new("xz")
            .args(["--stdout", "--format=xz"])
            .args(options)
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn the_size_is_known_before_unpacking() {
        let mut noise = 1_u32;
        let content: Vec<u8> = (0..5_000_000)
            .map(|place| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let byte = u8::try_from(noise >> 24).unwrap();
                if place % 3_000_000 < 1_000_000 {
                    byte
                } else {
                    7
                }
            })
            .collect();
        for options in [
            &["-1"][..],
            &["-1", "--check=none"],
            &["-1", "--check=sha256"],
            &["-1", "--check=crc32", "--block-size=1MiB"],
            &["-0", "-T2", "--block-size=300KiB"],
        ] {
            let packed = xz(&content, options);
            assert_eq!(Some(5_000_000), unpacked_size(&packed), "{options:?}");
            for size in [0, 11, 12, 13, 100, packed.len() / 2] {
                assert_eq!(None, unpacked_size(&packed[..size]));
            }
        }
        assert_eq!(Some(0), unpacked_size(&xz(&[], &[])));
    }
}
