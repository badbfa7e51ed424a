//! Any bytes as the head of a frame, as a request and as a control message: a value or an error.
#![no_main]

use berth_wire::{Request, frame, request::Control};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(head) = data.first_chunk::<{ frame::HEAD }>()
        && let Ok((kind, length)) = frame::parse_head(*head)
    {
        assert!(length <= frame::MAX_FRAME);
        assert_eq!(frame::head(kind, length), *head);
    }
    let _ = serde_json::from_slice::<Request>(data);
    let _ = serde_json::from_slice::<Control>(data);
});
