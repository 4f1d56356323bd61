//! The kernel's ring of process records, one for each CPU.
#![expect(unsafe_code, reason = "the ring is memory that the kernel writes")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use aya_obj::generated::perf_event_mmap_page;

/// Bytes of a page; the ring's control page is one.
const PAGE_SIZE_BYTES: usize = 4096;
/// Pages of records; the kernel wants a power of two. 512 KiB hold about 4,000 mappings.
const DATA_PAGES: usize = 128;
/// Bytes of records.
const DATA_SIZE_BYTES: usize = DATA_PAGES * PAGE_SIZE_BYTES;
/// Takes a position to its place in the data area, whose size is a power of two.
const POSITION_MASK: u64 = DATA_SIZE_BYTES as u64 - 1;
const _: () = assert!(DATA_SIZE_BYTES.is_power_of_two());
/// Bytes of a record's header: kind, flags, size.
const HEADER_SIZE_BYTES: usize = 8;

/// A mapped ring of records of one perf event.
#[derive(Debug)]
pub struct PerfRing {
    event: OwnedFd,
    control: NonNull<perf_event_mmap_page>,
    /// Where a record that wraps around the end is put together.
    whole: Vec<u8>,
}

// SAFETY: the mapping belongs to this value alone and stays valid on any thread.
unsafe impl Send for PerfRing {}

impl PerfRing {
    /// Maps the ring of an event.
    ///
    /// # Errors
    /// What mmap said; most often that `kernel.perf_event_mlock_kb` is too small for this user.
    pub fn new(event: OwnedFd) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping of a descriptor we own; checked below.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGE_SIZE_BYTES + DATA_SIZE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let control = NonNull::new(address.cast()).ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self {
            event,
            control,
            whole: Vec::new(),
        })
    }

    /// Hands every waiting record, header included, to `visit`.
    pub fn drain(&mut self, mut visit: impl FnMut(&[u8])) {
        let head = self.position(Position::Head).load(Ordering::Acquire);
        let mut tail = self.position(Position::Tail).load(Ordering::Relaxed);
        while HEADER_SIZE_BYTES as u64 <= head.wrapping_sub(tail) {
            let mut header = [0; HEADER_SIZE_BYTES];
            self.copy_out(tail, &mut header);
            let [.., low, high] = header;
            let size = usize::from(u16::from_ne_bytes([low, high]));
            if size < HEADER_SIZE_BYTES {
                // Only a torn ring looks like this; what is in it cannot be trusted.
                tail = head;
                break;
            }
            let mut whole = std::mem::take(&mut self.whole);
            whole.resize(size, 0);
            self.copy_out(tail, &mut whole);
            visit(&whole);
            self.whole = whole;
            tail = tail.wrapping_add(size as u64);
        }
        self.position(Position::Tail).store(tail, Ordering::Release);
    }

    /// Copies record bytes from a ring position, around the end where needed.
    fn copy_out(&self, from: u64, into: &mut [u8]) {
        let start = usize::try_from(from & POSITION_MASK).unwrap_or(0);
        let first = into.len().min(DATA_SIZE_BYTES.saturating_sub(start));
        let (before_end, after_end) = into.split_at_mut(first);
        // SAFETY: the data area follows the control page inside the mapping.
        let data = unsafe { self.control.as_ptr().cast::<u8>().add(PAGE_SIZE_BYTES) };
        // SAFETY: `start` is below the size of the data area.
        let source = unsafe { data.add(start) };
        // SAFETY: `start + first` is at most the size of the data area, which the kernel does not
        // write between tail and head.
        unsafe { ptr::copy_nonoverlapping(source, before_end.as_mut_ptr(), first) };
        // SAFETY: a record is shorter than the data area, so the rest is at its front.
        unsafe { ptr::copy_nonoverlapping(data, after_end.as_mut_ptr(), after_end.len()) };
    }

    /// One of the two shared positions.
    fn position(&self, which: Position) -> &AtomicU64 {
        let control = self.control.as_ptr();
        let field = match which {
            // SAFETY: the control page is mapped as long as `self`; only an address is taken.
            Position::Head => unsafe { &raw mut (*control).data_head },
            // SAFETY: as above.
            Position::Tail => unsafe { &raw mut (*control).data_tail },
        };
        // SAFETY: an aligned word of shared memory that both sides access as an atomic.
        unsafe { AtomicU64::from_ptr(field) }
    }
}

/// The shared positions of a ring.
#[derive(Clone, Copy)]
enum Position {
    /// Where the kernel writes next.
    Head,
    /// Where we read next.
    Tail,
}

impl AsFd for PerfRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Drop for PerfRing {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, unmapped once.
        _ = unsafe {
            libc::munmap(
                self.control.as_ptr().cast(),
                PAGE_SIZE_BYTES + DATA_SIZE_BYTES,
            )
        };
    }
}
