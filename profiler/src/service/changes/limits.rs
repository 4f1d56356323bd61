//! Bounds on comparisons.

use std::time::Duration;

/// How often it is looked whether a comparison is due.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Span of time that is compared.
pub const SPAN: Duration = Duration::from_secs(3_600);
/// How often a service is compared with the build before: a new build is noticed within that time,
/// and told of with more certainty each time.
pub const BUILD_EVERY: Duration = Duration::from_secs(600);
/// How often a service is compared with itself yesterday and last week.
pub const DAY_EVERY: Duration = Duration::from_secs(3_600);
/// Most services that are compared.
pub const SERVICES_MAX: usize = 64;
/// Most functions of a comparison that are kept, slower and faster each.
pub const FUNCTIONS_MAX: usize = 50;
/// Longest time that one comparison may take.
pub const COMPARE_TIME_MAX: Duration = Duration::from_secs(20);
/// After this time without data a service's comparisons are forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(8 * 86_400);
