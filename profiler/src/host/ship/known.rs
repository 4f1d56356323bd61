//! Definitions that a stream has sent already.

use std::collections::HashSet;

use super::limits::KNOWN_MAX;
use crate::model::{Batch, FrameId, StackId};

/// What the service was told on this stream.
#[derive(Debug, Default)]
pub(super) struct Known {
    frames: HashSet<FrameId>,
    stacks: HashSet<StackId>,
}

impl Known {
    /// Takes the definitions that were sent before out of a batch that is to be sent.
    pub(super) fn strip(&mut self, batch: &mut Batch) {
        if KNOWN_MAX < self.frames.len() + self.stacks.len() {
            self.forget();
        }
        let definitions = &mut batch.definitions;
        (definitions.frames).retain(|frame| self.frames.insert(frame.hash.id()));
        (definitions.stacks).retain(|stack| self.stacks.insert(stack.hash.id()));
    }

    /// The service lacks definitions: all are sent again with what comes next. Its list names those
    /// of one batch only, while others behind it may have been refused with theirs.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
