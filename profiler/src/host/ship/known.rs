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
            *self = Self::default();
        }
        let definitions = &mut batch.definitions;
        (definitions.frames).retain(|frame| self.frames.insert(frame.hash.id()));
        (definitions.stacks).retain(|stack| self.stacks.insert(stack.hash.id()));
    }
}
