//! What a service says it has.

use profiler::wire::v1::generated::{
    HostInfo, HostsRequest, Selection, TopRequest, query_service_client::QueryServiceClient,
};
use profiler_tests::harness::Server;
use tonic::transport::Channel;

/// Connects to a service.
async fn client(server: &Server) -> QueryServiceClient<Channel> {
    let channel = Channel::from_shared(server.url()).unwrap();
    QueryServiceClient::new(channel.connect().await.unwrap())
}

/// All samples of the cpu signal since the beginning of time, whose labels match.
pub(crate) async fn total(server: &Server, selector: &str) -> u64 {
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
    let answer = client(server).await.top(request).await;
    answer.unwrap().into_inner().total
}

/// What is known of the only host; all zero when there is none yet.
pub(crate) async fn only_host(server: &Server) -> HostInfo {
    let request = HostsRequest {
        start_ns: 1,
        end_ns: 0,
    };
    let answer = client(server).await.hosts(request).await;
    let mut hosts = answer.unwrap().into_inner().hosts;
    assert!(hosts.len() <= 1, "{hosts:?}");
    hosts.pop().unwrap_or_default()
}
