//! Call frame information to rows the probe can search.
