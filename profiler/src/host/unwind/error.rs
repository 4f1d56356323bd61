//! Why an object has no unwind table.

use crate::host::object::ObjectError;

/// Why an object has no unwind table.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The object's headers cannot be read.
    #[error("cannot read the object")]
    Object(#[source] ObjectError),
    /// The section that describes the code cannot be read.
    #[error("cannot read .eh_frame")]
    EhFrame(#[source] ObjectError),
}
