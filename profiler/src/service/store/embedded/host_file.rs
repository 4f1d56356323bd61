//! Files of windows with their quality, by host: Parquet, a column for each sum.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array, types::Int32Type,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
    },
    basic::Compression,
    file::properties::EnabledStatistics,
    schema::types::ColumnPath,
};

use super::{
    files::{file_error, write_error},
    part::Part,
    row_file::{Clip, bounds, is_in_time, moments, properties, text_type, texts, ts_type, words},
    rows::HostRow,
};
use crate::service::store::{
    StoreError, limits,
    quality_sum::{NAMES, QualitySum},
};

/// Writes rows, in the order given.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_hosts(
    (file, path): (&mut File, &Path),
    level: u8,
    rows: &[HostRow],
) -> Result<(), StoreError> {
    let error = |error: &(dyn std::error::Error + 'static)| write_error(path, error);
    // Few rows of many columns: unpacking each would take longer than all the rest of the reading.
    let properties = properties(level)
        .map_err(|cause| error(&cause))?
        .into_builder();
    let properties = properties
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(limits::HOST_GROUP_ROWS))
        .set_column_statistics_enabled(ColumnPath::from("signal"), EnabledStatistics::Chunk)
        .build();
    let mut writer =
        ArrowWriter::try_new(file, schema(), Some(properties)).map_err(|cause| error(&cause))?;
    for rows in rows.chunks(limits::BATCH_ROWS) {
        let batch = batch(rows).map_err(|cause| error(&cause))?;
        writer.write(&batch).map_err(|cause| error(&cause))?;
    }
    writer.close().map_err(|cause| error(&cause))?;
    Ok(())
}

/// The columns.
fn schema() -> SchemaRef {
    let mut fields = vec![
        Field::new("ts", ts_type(), false),
        Field::new("host", text_type(), false),
        Field::new("signal", text_type(), false),
        Field::new("last_ts", DataType::UInt64, false),
        Field::new("windows", DataType::UInt64, false),
    ];
    fields.extend(NAMES.map(|name| Field::new(name, DataType::UInt64, false)));
    Arc::new(Schema::new(fields))
}

/// Rows as columns.
fn batch(rows: &[HostRow]) -> Result<RecordBatch, ArrowError> {
    let word = |of: &dyn Fn(&HostRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<UInt64Array>())
    };
    let ts = rows.iter().map(|row| Some(row.ts.cast_signed()));
    let mut columns = vec![
        Arc::new(ts.collect::<TimestampNanosecondArray>()) as ArrayRef,
        texts(rows.iter().map(|row| &*row.host)),
        texts(rows.iter().map(|row| &*row.signal)),
        word(&|row| row.last_ts),
        word(&|row| row.windows),
    ];
    columns.extend(
        (0..NAMES.len())
            .map(|place| word(&|row| row.quality.0.get(place).copied().unwrap_or_default())),
    );
    RecordBatch::try_new(schema(), columns)
}

/// Gives the rows of a part to `each` that are in a span of time, and of a signal or of all.
///
/// # Errors
/// The file cannot be read, or is not one of ours.
pub(super) fn read_hosts(
    part: &Part,
    foot: ArrowReaderMetadata,
    (clip, signal): (&Clip, Option<&str>),
    each: &mut dyn FnMut(HostRow),
) -> Result<(), StoreError> {
    let error = |error: &dyn std::error::Error| file_error(&part.path, error);
    let file = File::open(&part.path).map_err(|cause| error(&cause))?;
    let groups = foot.metadata().row_groups().iter().enumerate();
    let groups = groups.filter(|(_index, group)| {
        let signals = signal.zip(bounds(group, "signal"));
        let has_signal = signals.is_none_or(|(signal, (first, last))| {
            first <= signal.as_bytes() && signal.as_bytes() <= last
        });
        has_signal && is_in_time(group, clip)
    });
    let groups = groups.map(|(index, _group)| index).collect();
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, foot)
        .with_row_groups(groups)
        .with_batch_size(limits::BATCH_ROWS)
        .build()
        .map_err(|cause| error(&cause))?;
    for batch in reader {
        let batch = batch.map_err(|cause| error(&cause))?;
        let Some(columns) = Columns::of(&batch) else {
            return Err(StoreError::File {
                path: part.path.display().to_string(),
                reason: "a column is not there".to_owned(),
            });
        };
        let is_wanted = |place: &usize| {
            let known = columns.signal.get(*place).map(|text| &**text);
            let is_signal = |signal| known == Some(signal);
            clip.has(columns.moment(*place)) && signal.is_none_or(is_signal)
        };
        let wanted = (0..batch.num_rows()).filter(is_wanted);
        wanted.for_each(|place| each(columns.row(place)));
    }
    Ok(())
}

/// The columns of a batch.
struct Columns<'a> {
    ts: &'a [i64],
    last_ts: &'a [u64],
    windows: &'a [u64],
    host: Texts<'a>,
    signal: Texts<'a>,
    sums: Vec<&'a [u64]>,
}

impl<'a> Columns<'a> {
    /// Finds them; `None` when one is not there.
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            ts: moments(batch)?,
            last_ts: words(batch, "last_ts")?,
            windows: words(batch, "windows")?,
            host: Texts::of(batch, "host")?,
            signal: Texts::of(batch, "signal")?,
            sums: (NAMES.iter().map(|name| words(batch, name))).collect::<Option<_>>()?,
        })
    }

    /// Start of the window or step of a row.
    fn moment(&self, place: usize) -> u64 {
        (self.ts.get(place).copied().unwrap_or_default()).cast_unsigned()
    }

    /// One row.
    fn row(&self, place: usize) -> HostRow {
        let word = |column: &[u64]| column.get(place).copied().unwrap_or_default();
        let mut quality = QualitySum::default();
        for (sum, column) in quality.0.iter_mut().zip(&self.sums) {
            *sum = word(column);
        }
        HostRow {
            ts: self.moment(place),
            last_ts: word(self.last_ts),
            windows: word(self.windows),
            host: self.host.shared(place),
            signal: self.signal.shared(place),
            quality,
        }
    }
}

/// A column of texts with a dictionary.
struct Texts<'a> {
    column: &'a DictionaryArray<Int32Type>,
    /// The dictionary, each text once for all rows.
    texts: Vec<Arc<str>>,
}

impl<'a> Texts<'a> {
    /// Finds it.
    fn of(batch: &'a RecordBatch, name: &str) -> Option<Self> {
        let column = batch.column_by_name(name)?.as_any();
        let column = column.downcast_ref::<DictionaryArray<Int32Type>>()?;
        let texts = column.values().as_any().downcast_ref::<StringArray>()?;
        let texts = texts.iter().map(|text| text.unwrap_or_default().into());
        let texts = texts.collect();
        Some(Self { column, texts })
    }

    /// The text of a row.
    fn get(&self, place: usize) -> Option<&Arc<str>> {
        self.column.key(place).and_then(|key| self.texts.get(key))
    }

    /// The same to keep; empty when the row has none.
    fn shared(&self, place: usize) -> Arc<str> {
        self.get(place).map_or_else(|| "".into(), Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use tempfile::TempDir;

    use super::{Clip, HostRow, QualitySum, limits::HOST_GROUP_ROWS, read_hosts, write_hosts};
    use crate::service::store::embedded::{
        counters::{Counters, Feet},
        flush::{no_column, sort_hosts},
        part::{Kind, Part, PartFacts, Resolution, path_of},
    };

    /// A window of a host and signal at a second.
    fn row(ts: u64, host: u64, signal: &str) -> HostRow {
        HostRow {
            ts,
            last_ts: ts,
            windows: 1,
            host: format!("host-{host}").into(),
            signal: signal.into(),
            quality: QualitySum::default(),
        }
    }

    #[test]
    fn only_the_rows_of_a_time_and_signal_are_given() {
        let moments = HOST_GROUP_ROWS as u64;
        let at = |ts: u64| ["cpu", "offcpu"].map(|signal| [0, 1].map(|host| row(ts, host, signal)));
        let mut rows: Vec<HostRow> = (0..moments).flat_map(at).flatten().collect();
        sort_hosts(&mut rows);
        let dir = TempDir::new().unwrap();
        let facts = PartFacts {
            name: "hosts.parquet".to_owned(),
            kind: Kind::Hosts,
            resolution: Resolution::Raw,
            level: 0,
            column: no_column(),
            partition: 0,
            ts_min: 0,
            ts_max: moments,
            rows: rows.len() as u64,
            size_bytes: 0,
        };
        let path = path_of(dir.path(), facts.kind, &facts.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_hosts((&mut File::create(&path).unwrap(), &path), 0, &rows).unwrap();
        let part = Part::new(dir.path(), facts);
        let foot = Feet::default().of(&part, &Counters::default()).unwrap();
        assert_eq!(4, foot.metadata().num_row_groups());

        let read = |start, end, signal| {
            let mut rows = Vec::new();
            let clip = Clip { start, end };
            let each = &mut |row| rows.push(row);
            read_hosts(&part, foot.clone(), (&clip, signal), each).unwrap();
            rows
        };
        assert_eq!(rows, read(0, u64::MAX, None));
        // A span on both sides of the border between two row groups.
        let middle = moments / 2;
        let expected = |signal: &'static str| {
            (middle - 1..=middle).flat_map(move |ts| [row(ts, 0, signal), row(ts, 1, signal)])
        };
        let off_cpu: Vec<HostRow> = expected("offcpu").collect();
        assert_eq!(off_cpu, read(middle - 1, middle + 1, Some("offcpu")));
        let both: Vec<HostRow> = expected("cpu").chain(expected("offcpu")).collect();
        assert_eq!(both, read(middle - 1, middle + 1, None));
        assert!(read(0, u64::MAX, Some("alloc")).is_empty());
        assert!(read(moments, u64::MAX, None).is_empty());
    }
}
