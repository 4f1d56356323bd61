//! Content addresses of frames and stacks.
//!
//! Hashes are over what a frame *is*, not over what it is called: build id and file offset, kernel
//! release and offset. So the same stack has the same id on every host, and better names never
//! change it. Only code made at run time has no identity but its name.

use xxhash_rust::xxh3::Xxh3;

use super::place::{NamedPlace, Place};
use crate::model::{FrameHash, Naming, ObjectFile, StackHash, Subject};

/// First byte of a frame's identity: which kind of identity follows. Never reuse a number.
mod tag {
    pub(super) const BUILD_ID: u8 = 1;
    pub(super) const PATH: u8 = 2;
    pub(super) const KERNEL_OFFSET: u8 = 3;
    pub(super) const KERNEL_NAME: u8 = 4;
    pub(super) const KERNEL_ADDRESS: u8 = 5;
    pub(super) const JIT_NAME: u8 = 6;
    pub(super) const BARE: u8 = 7;
    pub(super) const UNMAPPED: u8 = 8;
    pub(super) const CUT: u8 = 9;
    pub(super) const TABLE: u8 = 10;
    pub(super) const SYSTEM_CALL: u8 = 11;
}

/// Hashes the parts of an identity, each with its length, so that no two lists of parts collide.
struct Identity(Xxh3);

impl Identity {
    fn new(tag: u8) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&[tag]);
        Self(hash)
    }

    fn bytes(mut self, part: &[u8]) -> Self {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    fn number(mut self, part: u64) -> Self {
        self.0.update(&part.to_le_bytes());
        self
    }

    fn finish(self) -> u128 {
        self.0.digest128()
    }
}

/// Content address of a frame.
pub(super) fn hash_frame(place: &Place, named: &NamedPlace, kernel_release: &str) -> FrameHash {
    let identity = match *place {
        Place::Object { offset, .. } => object(named.object.as_ref()).number(offset.0),
        Place::Kernel { address } => kernel(named, kernel_release, address.0),
        Place::Bare { pid, address } => match function(&named.naming) {
            Some(name) => Identity::new(tag::JIT_NAME).bytes(name.as_bytes()),
            None => Identity::new(tag::BARE)
                .number(u64::from(pid.0))
                .number(address.0),
        },
        Place::Unmapped { .. } => Identity::new(tag::UNMAPPED),
        Place::Cut => Identity::new(tag::CUT),
        // Not the number of a system call, which each architecture has its own of.
        Place::Subject(subject) => Identity::new(match subject {
            Subject::InCall(_call) => tag::SYSTEM_CALL,
            Subject::Call(_)
            | Subject::Outcome(_)
            | Subject::Took(_)
            | Subject::FarEnd(_)
            | Subject::Side(_)
            | Subject::Measure(_) => tag::TABLE,
        })
        .bytes(function(&named.naming).unwrap_or_default().as_bytes()),
    };
    FrameHash(identity.finish())
}

/// Identity of an object file: what the linker says, else its path.
fn object(object: Option<&ObjectFile>) -> Identity {
    match object {
        Some(ObjectFile {
            build_id: Some(build_id),
            ..
        }) => Identity::new(tag::BUILD_ID).bytes(build_id.as_bytes()),
        Some(ObjectFile {
            path,
            build_id: None,
        }) => Identity::new(tag::PATH).bytes(path.as_bytes()),
        None => Identity::new(tag::PATH).bytes(&[]),
    }
}

/// Identity of kernel code: an offset in its text, which randomization does not move; the name for
/// modules and BPF programs, which lie anywhere.
fn kernel(named: &NamedPlace, release: &str, address: u64) -> Identity {
    match (named.kernel_offset, function(&named.naming)) {
        (Some(offset), _) => Identity::new(tag::KERNEL_OFFSET)
            .bytes(release.as_bytes())
            .number(offset),
        (None, Some(name)) => Identity::new(tag::KERNEL_NAME)
            .bytes(release.as_bytes())
            .bytes(name.as_bytes()),
        (None, None) => Identity::new(tag::KERNEL_ADDRESS)
            .bytes(release.as_bytes())
            .number(address),
    }
}

/// The function that the machine code is in.
pub(super) fn function(naming: &Naming) -> Option<&str> {
    match naming {
        Naming::Named(locations) => locations.last().map(|location| location.function.as_str()),
        Naming::Unnamed(_) => None,
    }
}

/// Content address of a stack, from its frames' hashes, innermost first.
pub(super) fn hash_stack(frames: impl ExactSizeIterator<Item = FrameHash>) -> StackHash {
    let mut hash = Xxh3::new();
    hash.update(&(frames.len() as u64).to_le_bytes());
    for frame in frames {
        hash.update(&frame.0.to_le_bytes());
    }
    StackHash(hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::{NamedPlace, Place, hash_frame, hash_stack};
    use crate::model::{Avma, BuildId, FileOffset, Naming, ObjectFile, ObjectId, Reason};

    fn in_object(number: u32, build_id: u8, offset: u64) -> (Place, NamedPlace) {
        let object = ObjectFile {
            path: "/x".to_owned(),
            build_id: BuildId::new(&[build_id]),
        };
        let place = Place::Object {
            object: ObjectId(number),
            offset: FileOffset(offset),
        };
        let naming = Naming::Unnamed(Reason::Stripped);
        (
            place,
            NamedPlace {
                naming,
                object: Some(object),
                kernel_offset: None,
            },
        )
    }

    #[test]
    fn a_frame_is_its_build_id_and_offset_whatever_the_run_calls_the_file() {
        let hash = |(place, named): (Place, NamedPlace)| hash_frame(&place, &named, "6.1");
        assert_eq!(hash(in_object(1, 7, 0x10)), hash(in_object(2, 7, 0x10)));
        assert_ne!(hash(in_object(1, 7, 0x10)), hash(in_object(1, 8, 0x10)));
        assert_ne!(hash(in_object(1, 7, 0x10)), hash(in_object(1, 7, 0x11)));
    }

    #[test]
    fn ids_never_change() {
        // Stored profiles of every release hold these numbers.
        let (place, named) = in_object(1, 7, 0x10);
        let frame = hash_frame(&place, &named, "6.1");
        let kernel = NamedPlace {
            kernel_offset: Some(0x20),
            object: None,
            ..named
        };
        let kernel = hash_frame(&Place::Kernel { address: Avma(1) }, &kernel, "6.1");
        let stack = hash_stack([frame, kernel].into_iter());
        let ids = [frame.id().0, kernel.id().0, stack.id().0];
        assert_eq!(GOLDEN_IDS, ids);
    }

    /// Ids of the frames and the stack above, as the first release made them.
    const GOLDEN_IDS: [u64; 3] = [
        13_626_139_631_868_240_194,
        5_764_021_142_193_123_736,
        12_155_230_091_052_945_842,
    ];
}
