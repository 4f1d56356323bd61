//! Grafana's way to ask.
//!
//! Job: answer what Grafana's data source for Pyroscope calls, so that it points at this service
//! unchanged. In: requests of the Connect protocol to `querier.v1.QuerierService`, as protobuf or
//! JSON. Out: kinds of profile, labels, trends, flame graphs, pprof files. **Invariant:** every
//! answer comes from the same plain functions of `query` as our own, within the same bounds.
//!
//! A kind of profile is called `SIGNAL:KIND:UNIT:SIGNAL:UNIT`, such as
//! `cpu:samples:count:cpu:nanoseconds`. The label `service_name`, which Grafana prefers, is our
//! `service` under another name.

mod ask;
mod connect;
mod levels;
mod limits;
mod service;

pub use self::service::routes;
