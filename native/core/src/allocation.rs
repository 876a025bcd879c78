//! Where memory comes from: the C library, which is told to begin what is large at a cache line.
//!
//! glibc's malloc begins a mapping 16 bytes behind a page. On AMD's Zen 3 the kernel's copy (`rep movsb`, where the
//! processor calls it fast: FSRM) takes three to four times as long to such an address as to one that is a multiple of 32:
//! reads through the page cache and from sockets do (docs/design.md, decisions).
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// Allocations of so many bytes are buffers, or might be.
const LARGE: usize = 32 << 10;
const LINE: usize = 64;

struct Lines;

#[global_allocator]
static ALLOCATOR: Lines = Lines;

fn placed(layout: Layout) -> Layout {
    if layout.size() < LARGE { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

// SAFETY: everything comes from the system's allocator and goes back to it with the same layout, which is a function of the
// layout that the caller has given both times.
unsafe impl GlobalAlloc for Lines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's; an alignment of a line is a power of two.
        unsafe { System.alloc(placed(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(placed(layout)) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, placed(layout)) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller vouches for the new size, with the alignment of before.
        let other = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if placed(layout).align() == placed(other).align() {
            // SAFETY: as above. (It keeps the alignment that it is told, moving what has more than malloc gives by itself.)
            return unsafe { System.realloc(memory, placed(layout), size) };
        }
        // SAFETY: as above; both places hold as many bytes as the smaller layout says, and they do not overlap.
        unsafe {
            let moved = self.alloc(other);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(memory, size.min(layout.size()));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn large_buffers_begin_at_a_line_however_they_grow() {
        for size in [32 << 10, 128 << 10, 512 << 10, 4 << 20] {
            let mut grown: Vec<u8> = (0..100).collect();
            let (zeros, empty) = (vec![0_u8; size], Vec::<u8>::with_capacity(size));
            assert_eq!([zeros.as_ptr().align_offset(64), empty.as_ptr().align_offset(64)], [0, 0]);
            while grown.len() < size {
                grown.extend_from_within(..grown.len().min(size - grown.len()));
            }
            assert_eq!(grown.as_ptr().align_offset(64), 0);
            assert!(grown.chunks(100).all(|chunk| chunk.iter().zip(0..).all(|(byte, n)| *byte == n)));
            grown.truncate(150);
            grown.shrink_to_fit();
            assert_eq!(grown[100..], (0..50).collect::<Vec<u8>>());
        }
    }
}
