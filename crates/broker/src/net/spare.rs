//! The buffer that a worker receives into. Connections that have read all that came hand it on: the allocator would go round
//! all of its blocks, and each would have left the processor's cache by the time it is written to again.

use std::cell::Cell;

use bytes::BytesMut;

use super::intake::{LARGE_READ_LEN, READ_LEN};

thread_local! {
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// Takes an empty buffer back, unless a request still refers to it, or it is too large or too small to be of use.
pub(super) fn keep(mut buffer: BytesMut) {
    if buffer.is_empty() && buffer.try_reclaim(READ_LEN) && buffer.capacity() <= 2 * LARGE_READ_LEN {
        SPARE.set(buffer);
    }
}

/// The buffer that was kept last, or an empty one without memory.
pub(super) fn take() -> BytesMut {
    SPARE.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received() -> (BytesMut, BytesMut) {
        let mut buffer = BytesMut::with_capacity(READ_LEN);
        buffer.extend_from_slice(b"frame");
        let frame = buffer.split_to(5);
        (buffer, frame)
    }

    #[test]
    fn buffer_is_used_again_once_no_frame_refers_to_it() {
        let (buffer, frame) = received();
        let at = frame.as_ptr();
        drop(frame);
        keep(buffer);
        let again = take();
        assert_eq!((again.as_ptr(), again.capacity()), (at, READ_LEN));
        let (buffer, _frame) = received();
        keep(buffer);
        assert_eq!(take().capacity(), 0, "the frame is in it");
        keep(BytesMut::with_capacity(3 * LARGE_READ_LEN));
        assert_eq!(take().capacity(), 0, "nobody needs so much");
    }
}
