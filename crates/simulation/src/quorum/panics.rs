//! A panic of a task is an answer to whoever waits for the task; here it is a defect.

use std::cell::RefCell;
use std::sync::Once;

use crate::ledger::Violation;

thread_local! {
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}
static WATCHING: Once = Once::new();

/// Notes the first panic of each thread from now on, and goes on with what was done about panics before.
pub(super) fn watch() {
    WATCHING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            FIRST.with_borrow_mut(|first| {
                first.get_or_insert_with(|| panic.to_string());
            });
            before(panic);
        }));
    });
    FIRST.set(None);
}

pub(super) fn take() -> Option<Violation> {
    FIRST.take().map(|what| Violation::new("nothing panics", what))
}
