//! Bounds of the store, each with its reason.

/// Largest program of one regular expression: selectors are typed by people, a guess.
pub(super) const REGEX_SIZE_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of one regular expression: a guess far above what people type.
pub(super) const REGEX_NESTING_MAX: u32 = 64;

/// Values that are reserved at once while decoding: a length that lies costs no more than this.
pub(super) const DECODE_RESERVE_MAX: usize = 4096;

/// Largest batch in a record of the log: well above what ingest lets through.
pub(super) const RECORD_SIZE_BYTES_MAX: usize = 256 << 20;

/// Rows of a row group: what a query looks past, and how often it looks whether it is still
/// wanted. A million would be a part of its own on all but the largest fleets.
pub(super) const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Rows after which a row group ends with a service, so that a question about one service reads no
/// other's rows: a row group costs half a KiB of foot, and less than this compresses worse.
pub(super) const SERVICE_GROUP_ROWS: usize = 8 * 1024;

/// Rows that are read and written together: 0.5 MiB a column.
pub(super) const BATCH_ROWS: usize = 64 * 1024;

/// Size of a column's dictionary in a row group: 128 Ki ids of 8 bytes fit.
pub(super) const DICTIONARY_PAGE_BYTES: usize = 4 << 20;

/// Rows of a row group of quality, which are in order of time: a question about the end of an hour
/// looks past the others. A thousand hosts have as many in a minute.
pub(super) const HOST_GROUP_ROWS: usize = 6 * 1024;

/// Rows in memory that lie together: 32 Ki of them. Batches are smaller by far, and a question would
/// take longer to go from one to the next than to read them.
pub(super) const CHUNK_SIZE_BYTES: usize = 1 << 20;

/// Feet of parts that are kept in memory: a few KiB each, a week of hours with three signals.
pub(super) const CACHED_FEET_MAX: usize = 2048;

/// Rows that compaction holds at once: 32 bytes each.
pub(super) const MERGE_ROWS_MAX: u64 = 4 << 20;

/// Files of definitions after which they are merged.
pub(super) const DEFINITION_FILES_MAX: usize = 16;

/// Version of the tables and files. A later release reads all earlier ones. 2: sums by service.
pub(super) const SCHEMA_VERSION: u64 = 2;
