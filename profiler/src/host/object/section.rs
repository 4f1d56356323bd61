//! The bytes of one section, unpacked if need be.

use std::{
    borrow::Cow,
    io::{self, Read as _},
};

use object::{
    LittleEndian, ReadRef,
    elf::{ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SectionHeader64},
    read::elf::{CompressionHeader as _, SectionHeader as _},
};

use super::{ObjectError, limits::SECTION_SIZE_BYTES_MAX};
use crate::model::Svma;

/// A section's bytes and where they were linked for.
#[derive(Clone, Debug)]
pub struct Section<'d> {
    /// Link-time address of the first byte; 0 for a section that is not loaded.
    pub svma: Svma,
    /// The contents, unpacked.
    pub data: Cow<'d, [u8]>,
}

/// Reads the bytes of a section. `None` if the file holds none for it (`SHT_NOBITS`).
pub(super) fn read<'d, R: ReadRef<'d>>(
    header: &SectionHeader64<LittleEndian>,
    data: R,
) -> Result<Option<Section<'d>>, ObjectError> {
    let Some((offset, size_bytes)) = header.file_range(LittleEndian) else {
        return Ok(None);
    };
    let packed =
        header
            .compression(LittleEndian, data)
            .map_err(|source| ObjectError::Malformed {
                part: "compression header",
                source,
            })?;
    let bytes = match packed {
        None => Cow::Borrowed(read_range(data, offset, size_bytes)?),
        Some((header, offset, size_bytes)) => {
            let packed = read_range(data, offset, size_bytes)?;
            let size_bytes = check_size(header.ch_size(LittleEndian))?;
            Cow::Owned(unpack(packed, header.ch_type(LittleEndian), size_bytes)?)
        }
    };
    Ok(Some(Section {
        svma: Svma(header.sh_addr.get(LittleEndian)),
        data: bytes,
    }))
}

/// Reads a range of the file, if it is of a size that is read.
fn read_range<'d, R: ReadRef<'d>>(
    data: R,
    offset: u64,
    size_bytes: u64,
) -> Result<&'d [u8], ObjectError> {
    check_size(size_bytes)?;
    data.read_bytes_at(offset, size_bytes)
        .map_err(|()| ObjectError::SectionRange { offset, size_bytes })
}

/// Passes a size on, or says that it is more than is read.
fn check_size(size_bytes: u64) -> Result<u64, ObjectError> {
    if size_bytes <= SECTION_SIZE_BYTES_MAX {
        return Ok(size_bytes);
    }
    Err(ObjectError::SectionSize {
        size_bytes,
        max_bytes: SECTION_SIZE_BYTES_MAX,
    })
}

/// Unpacks to exactly `size_bytes`; the output never outgrows that, whatever the input does.
fn unpack(packed: &[u8], method: u32, size_bytes: u64) -> Result<Vec<u8>, ObjectError> {
    let fails = |source| ObjectError::Compression { method, source };
    // Grown while it is written: a header that lies about the size costs nothing.
    let mut bytes = Vec::new();
    let limit = size_bytes.saturating_add(1);
    let result = match method {
        ELFCOMPRESS_ZLIB => flate2::read::ZlibDecoder::new(packed)
            .take(limit)
            .read_to_end(&mut bytes),
        ELFCOMPRESS_ZSTD => ruzstd::decoding::StreamingDecoder::new(packed)
            .map_err(io::Error::other)
            .and_then(|decoder| decoder.take(limit).read_to_end(&mut bytes)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    let count = result.map_err(fails)?;
    if u64::try_from(count) == Ok(size_bytes) {
        Ok(bytes)
    } else {
        Err(fails(io::ErrorKind::InvalidData.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use object::elf::{ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};

    use super::{ObjectError, check_size, unpack};
    use crate::host::object::limits::SECTION_SIZE_BYTES_MAX;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn unpacks_both_methods() {
        let bytes = vec![7; 5_000];
        assert_eq!(
            bytes,
            unpack(&zlib(&bytes), ELFCOMPRESS_ZLIB, 5_000).unwrap()
        );
        let packed = ruzstd::encoding::compress_to_vec(
            bytes.as_slice(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert_eq!(bytes, unpack(&packed, ELFCOMPRESS_ZSTD, 5_000).unwrap());
    }

    #[test]
    fn refuses_a_size_that_is_not_the_one_announced() {
        let packed = zlib(&vec![7; 5_000]);
        for size_bytes in [0, 4_999, 5_001] {
            let result = unpack(&packed, ELFCOMPRESS_ZLIB, size_bytes);
            assert!(matches!(result, Err(ObjectError::Compression { .. })));
        }
    }

    #[test]
    fn the_largest_section_is_read_and_one_byte_more_is_not() {
        assert_eq!(
            SECTION_SIZE_BYTES_MAX,
            check_size(SECTION_SIZE_BYTES_MAX).unwrap()
        );
        let beyond = check_size(SECTION_SIZE_BYTES_MAX + 1);
        assert!(matches!(beyond, Err(ObjectError::SectionSize { .. })));
    }
}
