//! Comparisons over gRPC.

use tonic::{Request, Response, Status};

use super::Changes;
use crate::wire::v1::generated::{
    ListChangesRequest, ListChangesResponse, ServiceChanges,
    change_service_server::{ChangeService, ChangeServiceServer},
};

/// The service, ready to be served.
pub fn server(changes: Changes) -> ChangeServiceServer<Changes> {
    ChangeServiceServer::new(changes)
}

#[tonic::async_trait]
impl ChangeService for Changes {
    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let kept = self.0.list(&request.into_inner().service);
        let kept = kept.map_err(|error| {
            tracing::error!(%error, "the file of comparisons cannot be used");
            Status::internal(error.to_string())
        })?;
        let services = kept.into_iter().map(|kept| ServiceChanges {
            service: kept.service,
            against: kept.against,
            at_ns: u64::try_from(kept.at.as_nanos()).unwrap_or(u64::MAX),
            changes: Some(kept.answer),
        });
        Ok(Response::new(ListChangesResponse {
            services: services.collect(),
        }))
    }
}
