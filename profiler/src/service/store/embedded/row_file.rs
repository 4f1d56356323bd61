//! Files of samples and totals: Parquet with the columns that every engine of the store has.
//!
//! `ts`, `ptype`, `service`, `series_id`, `stack_id` (not in totals), `value`, `period`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt64Array, builder::StringDictionaryBuilder, types::Int32Type,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::{KeyValue, RowGroupMetaData},
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};

use super::{
    files::{file_error, write_error},
    part::{Kind, Part},
    rows::Row,
    series_index::Selected,
};
use crate::service::store::{StoreError, column::Column, limits};

/// Writes rows in the order they are given.
pub(super) struct RowWriter<'a> {
    /// Parquet's writer.
    writer: ArrowWriter<File>,
    /// For errors.
    path: PathBuf,
    /// Samples or totals.
    kind: Kind,
    /// What the rows count.
    column: &'a Column,
    /// Rows of the next batch.
    rows: Vec<Row>,
    /// Services of the next batch, each with the number of rows that follow one another.
    services: Vec<(Arc<str>, usize)>,
    /// Service of the last row.
    service: Arc<str>,
    /// Rows of this row group.
    group_rows: usize,
    /// What was written so far.
    summary: RowSummary,
}

/// What is known of rows once they are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowSummary {
    /// How many.
    pub(super) rows: u64,
    /// First moment.
    pub(super) ts_min: u64,
    /// Last moment.
    pub(super) ts_max: u64,
}

impl Default for RowSummary {
    fn default() -> Self {
        Self {
            rows: 0,
            ts_min: u64::MAX,
            ts_max: 0,
        }
    }
}

impl RowSummary {
    /// Notes one more row.
    pub(super) fn note(&mut self, ts: u64) {
        self.rows += 1;
        self.ts_min = self.ts_min.min(ts);
        self.ts_max = self.ts_max.max(ts);
    }
}

impl<'a> RowWriter<'a> {
    /// A writer into a file. `level` 0 is compressed fast, others well.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn new(
        (file, path): (File, &Path),
        kind: Kind,
        level: u8,
        column: &'a Column,
    ) -> Result<Self, StoreError> {
        let writer = properties(level)
            .and_then(|properties| ArrowWriter::try_new(file, schema(kind), Some(properties)));
        Ok(Self {
            writer: writer.map_err(|error| write_error(path, &error))?,
            path: path.to_owned(),
            kind,
            column,
            rows: Vec::new(),
            services: Vec::new(),
            service: "".into(),
            group_rows: 0,
            summary: RowSummary::default(),
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn push(&mut self, service: &Arc<str>, row: Row) -> Result<(), StoreError> {
        if !Arc::ptr_eq(&self.service, service) {
            self.service = Arc::clone(service);
            if limits::SERVICE_GROUP_ROWS <= self.group_rows {
                self.end_group()?;
            }
        }
        match self.services.last_mut() {
            Some((last, rows)) if Arc::ptr_eq(last, service) => *rows += 1,
            Some(_) | None => self.services.push((Arc::clone(service), 1)),
        }
        self.summary.note(row.ts);
        self.rows.push(row);
        self.group_rows += 1;
        if self.rows.len() < limits::BATCH_ROWS {
            return Ok(());
        }
        self.write()
    }

    /// Begins a new row group.
    fn end_group(&mut self) -> Result<(), StoreError> {
        self.write()?;
        self.group_rows = 0;
        (self.writer.flush()).map_err(|error| write_error(&self.path, &error))
    }

    /// Writes the rows that wait.
    fn write(&mut self) -> Result<(), StoreError> {
        let batch = self.batch();
        let batch = batch.map_err(|error| write_error(&self.path, &error))?;
        self.rows.clear();
        self.services.clear();
        (self.writer.write(&batch)).map_err(|error| write_error(&self.path, &error))
    }

    /// The rows that wait as columns.
    fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let words = |of: fn(&Row) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(self.rows.iter().map(of)))
        };
        let ts = self.rows.iter().map(|row| row.ts.cast_signed());
        let ptype = self.column.profile_type.to_string();
        let services: Vec<(&str, usize)> = (self.services.iter())
            .map(|(service, rows)| (&**service, *rows))
            .collect();
        let mut columns = vec![
            Arc::new(TimestampNanosecondArray::from_iter_values(ts)) as ArrayRef,
            runs(&[(ptype.as_str(), self.rows.len())])?,
            runs(&services)?,
            words(|row| row.series),
        ];
        if self.kind == Kind::Samples {
            columns.push(words(|row| row.stack));
        }
        columns.push(words(|row| row.value));
        let period = UInt64Array::from(vec![self.column.period_ns; self.rows.len()]);
        columns.push(Arc::new(period));
        RecordBatch::try_new(schema(self.kind), columns)
    }

    /// Writes the rest and the foot.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn finish(mut self) -> Result<RowSummary, StoreError> {
        self.write()?;
        let closed = self.writer.close();
        closed.map_err(|error| write_error(&self.path, &error))?;
        Ok(self.summary)
    }
}

/// Texts as a column with a dictionary, each with the number of rows that have it.
fn runs(runs: &[(&str, usize)]) -> Result<ArrayRef, ArrowError> {
    let (mut keys, mut texts) = (Vec::new(), Vec::new());
    for (text, rows) in runs {
        let key = i32::try_from(texts.len()).unwrap_or(i32::MAX);
        keys.extend(std::iter::repeat_n(key, *rows));
        texts.push(*text);
    }
    let texts = Arc::new(StringArray::from(texts));
    let column = DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), texts)?;
    Ok(Arc::new(column))
}

/// Texts as a column with a dictionary.
pub(super) fn texts<Text: AsRef<str>>(texts: impl Iterator<Item = Text>) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    texts.for_each(|text| builder.append_value(text));
    Arc::new(builder.finish())
}

/// The type of a column with a dictionary.
pub(super) fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The type of a moment.
pub(super) fn ts_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, None)
}

/// The columns of a file.
fn schema(kind: Kind) -> SchemaRef {
    let mut fields = vec![
        Field::new("ts", ts_type(), false),
        Field::new("ptype", text_type(), false),
        Field::new("service", text_type(), false),
        Field::new("series_id", DataType::UInt64, false),
    ];
    if kind == Kind::Samples {
        fields.push(Field::new("stack_id", DataType::UInt64, false));
    }
    fields.push(Field::new("value", DataType::UInt64, false));
    fields.push(Field::new("period", DataType::UInt64, false));
    Arc::new(Schema::new(fields))
}

/// How files are written.
pub(super) fn properties(level: u8) -> Result<WriterProperties, ParquetError> {
    let zstd = ZstdLevel::try_new(if level == 0 { 1 } else { 3 })?;
    let chunk = EnabledStatistics::Chunk;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(limits::ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(limits::DICTIONARY_PAGE_BYTES)
        // Row groups are looked past, pages are not.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from("ts"), chunk)
        .set_column_statistics_enabled(ColumnPath::from("service"), chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "schema_version".to_owned(),
            limits::SCHEMA_VERSION.to_string(),
        )]))
        .build())
}

/// A span of time in nanoseconds: from `start` until just before `end`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Clip {
    /// First moment.
    pub(super) start: u64,
    /// First moment after.
    pub(super) end: u64,
}

impl Clip {
    /// Whether a moment is in it.
    pub(super) fn has(&self, ts: u64) -> bool {
        self.start <= ts && ts < self.end
    }

    /// Whether all moments from one to another, both included, are in it.
    pub(super) fn covers(&self, first: u64, last: u64) -> bool {
        self.start <= first && last < self.end
    }

    /// Whether a moment from one to another, both included, may be in it.
    pub(super) fn touches(&self, first: u64, last: u64) -> bool {
        self.start <= last && first < self.end
    }
}

/// Row groups that may hold rows of a span of time and of some series.
pub(super) fn row_groups(
    metadata: &ArrowReaderMetadata,
    clip: &Clip,
    selected: &Selected,
) -> Vec<usize> {
    let groups = metadata.metadata().row_groups().iter().enumerate();
    (groups.filter(|(_index, group)| may_hold(group, clip, selected)))
        .map(|(index, _group)| index)
        .collect()
}

/// Whether a row group may hold rows; a group without statistics may.
fn may_hold(group: &RowGroupMetaData, clip: &Clip, selected: &Selected) -> bool {
    let services = bounds(group, "service");
    is_in_time(group, clip) && services.is_none_or(|(first, last)| selected.may_take(first, last))
}

/// Whether a row group may hold rows of a span of time.
pub(super) fn is_in_time(group: &RowGroupMetaData, clip: &Clip) -> bool {
    bounds(group, "ts").is_none_or(|(first, last)| {
        let ts = |bytes: &[u8]| bytes.first_chunk().copied().map(u64::from_le_bytes);
        (ts(first).zip(ts(last))).is_none_or(|(first, last)| clip.touches(first, last))
    })
}

/// First and last value of a column.
type Bounds<'a> = (&'a [u8], &'a [u8]);

/// First and last value of a column of a row group, where they were written.
pub(super) fn bounds<'a>(group: &'a RowGroupMetaData, name: &str) -> Option<Bounds<'a>> {
    let mut columns = group.columns().iter();
    let column = columns.find(|column| column.column_path().string() == name)?;
    let statistics = column.statistics()?;
    Some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?))
}

/// Columns that a reader needs; others are zero in the rows it gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fields {
    /// Moments.
    pub(super) ts: bool,
    /// Series.
    pub(super) series: bool,
    /// Stacks.
    pub(super) stack: bool,
}

/// Gives every row of some row groups to `each`, group after group.
///
/// # Errors
/// The file cannot be read, or is not one of ours.
pub(super) fn read_rows(
    part: &Part,
    metadata: ArrowReaderMetadata,
    groups: Vec<usize>,
    fields: Fields,
    each: &mut impl FnMut(Row),
) -> Result<(), StoreError> {
    let error = |error: &dyn std::error::Error| file_error(&part.path, error);
    let file = File::open(&part.path).map_err(|cause| error(&cause))?;
    let mut names = vec!["value"];
    names.extend(fields.ts.then_some("ts"));
    names.extend(fields.series.then_some("series_id"));
    names.extend((fields.stack && part.facts.kind == Kind::Samples).then_some("stack_id"));
    let mask = ProjectionMask::columns(metadata.parquet_schema(), names);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_projection(mask)
        .with_row_groups(groups)
        .with_batch_size(limits::BATCH_ROWS)
        .build()
        .map_err(|cause| error(&cause))?;
    for batch in reader {
        let batch = batch.map_err(|cause| error(&cause))?;
        let ts = moments(&batch);
        let series = words(&batch, "series_id");
        let stack = words(&batch, "stack_id");
        let at = |column: Option<&[u64]>, place: usize| {
            column
                .and_then(|column| column.get(place))
                .copied()
                .unwrap_or_default()
        };
        for (place, value) in words(&batch, "value")
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let ts = ts.and_then(|ts| ts.get(place)).copied().unwrap_or_default();
            each(Row {
                ts: ts.cast_unsigned(),
                series: at(series, place),
                stack: at(stack, place),
                value: *value,
            });
        }
    }
    Ok(())
}

/// A column of numbers, if it was read.
pub(super) fn words<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a [u64]> {
    let column = batch.column_by_name(name)?.as_any();
    column
        .downcast_ref::<UInt64Array>()
        .map(|array| &**array.values())
}

/// The column of moments, if it was read.
pub(super) fn moments(batch: &RecordBatch) -> Option<&[i64]> {
    let column = batch.column_by_name("ts")?.as_any();
    (column.downcast_ref::<TimestampNanosecondArray>()).map(|array| &**array.values())
}
