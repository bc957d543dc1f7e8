//! `UnregisterControllerRequest` v0 (4.4.0).

crate::part::message! {
    pub struct UnregisterControllerRequest {
        /// Whose registration goes.
        controller_id: i32 => 0..;
    }
}
