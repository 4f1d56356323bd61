//! Any bytes as a message of a daemon: what is taken can be sent again and is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler::wire::v1::{
    decode_batch, decode_request, encode_batch, generated::ingest_request::Message,
};

fuzz_target!(|data: &[u8]| {
    let Ok(request) = decode_request(data) else {
        return;
    };
    let Some(Message::Batch(message)) = request.message else {
        return;
    };
    let Ok((sequence, batch)) = decode_batch(message) else {
        return;
    };
    let again = decode_batch(encode_batch(sequence, &batch));
    let (again_sequence, mut again) = again.expect("what was taken is taken again");
    for (window, original) in again.windows.iter_mut().zip(&batch.windows) {
        window.host.clone_from(&original.host);
    }
    assert_eq!((sequence, batch), (again_sequence, again));
});
