//! What a service says it has.

use profiler::wire::v1::generated::{
    Selection, TopRequest, query_service_client::QueryServiceClient,
};
use profiler_tests::harness::Server;
use tonic::transport::Channel;

/// All samples of the cpu signal since the beginning of time, whose labels match.
pub(super) async fn total(server: &Server, selector: &str) -> u64 {
    let channel = Channel::from_shared(server.url()).unwrap();
    let mut client = QueryServiceClient::new(channel.connect().await.unwrap());
    let selection = Selection {
        signal: "cpu".to_owned(),
        kind: "samples".to_owned(),
        selector: selector.to_owned(),
        start_ns: 1,
        end_ns: 0,
    };
    let request = TopRequest {
        selection: Some(selection),
        limit: 1,
        ..TopRequest::default()
    };
    client.top(request).await.unwrap().into_inner().total
}
