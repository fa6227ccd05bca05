//! Buffers that threads share or keep to themselves.
//!
//! `unsafe` for [`Shared`]: whoever writes through it promises that nobody else touches the same values.

/// A buffer whose parts different threads write.
#[derive(Clone, Copy)]
pub(super) struct Shared(*mut f32);
// SAFETY: only a pointer; every use of what it points to is unsafe and says whose the values are.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) fn new(buffer: &mut [f32]) -> Self {
        Self(buffer.as_mut_ptr())
    }

    pub(super) fn of(start: *mut f32) -> Self {
        Self(start)
    }

    pub(super) fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// A cache line of values.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(#[expect(dead_code, reason = "read through pointers")] [f32; 16]);

/// Start of at least `count` values in whole cache lines; what they hold is left over from before.
pub(super) fn lines(buffer: &mut Vec<Line>, count: usize) -> *mut f32 {
    let needed = count.div_ceil(16);
    if buffer.len() < needed {
        buffer.resize(needed, Line([0.0; 16]));
    }
    buffer.as_mut_ptr().cast()
}
