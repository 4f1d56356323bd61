//! Files of windows with their quality, by host: Parquet, a column for each sum.

use std::{collections::HashSet, fs::File, path::Path, sync::Arc};

use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array, types::Int32Type,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::{
    files::{file_error, write_error},
    part::Part,
    row_file::{moments, properties, text_type, texts, ts_type, words},
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
    let properties = properties(level).map_err(|cause| error(&cause))?;
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

/// Gives every row of a part to `each`.
///
/// # Errors
/// The file cannot be read, or is not one of ours.
pub(super) fn read_hosts(part: &Part, each: &mut dyn FnMut(HostRow)) -> Result<(), StoreError> {
    let error = |error: &dyn std::error::Error| file_error(&part.path, error);
    let file = File::open(&part.path).map_err(|cause| error(&cause))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(limits::BATCH_ROWS).build())
        .map_err(|cause| error(&cause))?;
    let mut names: HashSet<Arc<str>> = HashSet::new();
    for batch in reader {
        let batch = batch.map_err(|cause| error(&cause))?;
        let columns: Option<Vec<&[u64]>> = NAMES.iter().map(|name| words(&batch, name)).collect();
        let heads = words(&batch, "last_ts").zip(words(&batch, "windows"));
        let (Some(ts), Some(columns), Some((last_ts, windows))) = (moments(&batch), columns, heads)
        else {
            return Err(StoreError::File {
                path: part.path.display().to_string(),
                reason: "a column is not there".to_owned(),
            });
        };
        let mut shared = |text: &str| {
            if let Some(known) = names.get(text) {
                return Arc::clone(known);
            }
            let name: Arc<str> = text.into();
            names.insert(Arc::clone(&name));
            name
        };
        for (place, ((ts, last_ts), windows)) in ts.iter().zip(last_ts).zip(windows).enumerate() {
            let mut quality = QualitySum::default();
            for (sum, column) in quality.0.iter_mut().zip(&columns) {
                *sum = column.get(place).copied().unwrap_or_default();
            }
            each(HostRow {
                ts: ts.cast_unsigned(),
                last_ts: *last_ts,
                windows: *windows,
                host: shared(text(&batch, "host", place).unwrap_or_default()),
                signal: shared(text(&batch, "signal", place).unwrap_or_default()),
                quality,
            });
        }
    }
    Ok(())
}

/// One text of a column with a dictionary.
fn text<'a>(batch: &'a RecordBatch, name: &str, place: usize) -> Option<&'a str> {
    let column = batch.column_by_name(name)?.as_any();
    let column = column.downcast_ref::<DictionaryArray<Int32Type>>()?;
    let texts = column.values().as_any().downcast_ref::<StringArray>()?;
    let key = column.key(place)?;
    (key < texts.len()).then(|| texts.value(key))
}
