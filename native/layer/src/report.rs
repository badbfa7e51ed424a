//! What a long operation tells while it works.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// Bytes between two reports of progress.
const STEP: u64 = 16 << 20;

/// Where progress and warnings go.
pub struct Report<'a> {
    progress: &'a dyn Fn(u64, Option<u64>),
    warning: &'a dyn Fn(String),
    current: Cell<u64>,
    told: Cell<u64>,
    warned: RefCell<BTreeSet<String>>,
}

impl std::fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report").field("current", &self.current).finish_non_exhaustive()
    }
}

impl<'a> Report<'a> {
    /// `progress` gets bytes done and, where it is known, bytes in all; `warning` a sentence.
    #[must_use]
    pub fn new(progress: &'a dyn Fn(u64, Option<u64>), warning: &'a dyn Fn(String)) -> Self {
        Self {
            progress,
            warning,
            current: Cell::new(0),
            told: Cell::new(0),
            warned: RefCell::default(),
        }
    }

    /// Count `bytes` more; tell it now and then.
    pub(crate) fn advance(&self, bytes: u64) {
        let current = self.current.get().saturating_add(bytes);
        self.current.set(current);
        if current.saturating_sub(self.told.get()) >= STEP {
            self.told.set(current);
            (self.progress)(current, None);
        }
    }

    pub(crate) fn warn(&self, message: String) {
        (self.warning)(message);
    }

    /// Warn once about each `topic`.
    pub(crate) fn warn_once(&self, topic: &str, message: impl FnOnce() -> String) {
        if self.warned.borrow_mut().insert(topic.to_owned()) {
            (self.warning)(message());
        }
    }
}
