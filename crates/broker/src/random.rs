//! Randomness for ids that must not be guessed or repeated; nothing below the edge makes its own.

use uuid::Uuid;

/// A random number above zero, most of the time: the caller passes over others.
pub(crate) fn positive_i32() -> i32 {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    i32::try_from(high >> 33).unwrap_or(0)
}

/// A random id whose base64 does not begin with `-`: the tools would take it for an option (`Uuid.randomUuid`).
pub(crate) fn shown_uuid() -> Uuid {
    std::iter::repeat_with(Uuid::new_v4).find(|id| !looks_like_an_option(*id)).unwrap_or_default()
}

/// Of 64 digits `-` is the 63rd, and a digit is six bits.
fn looks_like_an_option(id: Uuid) -> bool {
    id.as_bytes()[0] >> 2 == 62
}

#[cfg(test)]
mod tests {
    use ottla_model::TopicId;

    use super::*;

    #[test]
    fn no_id_begins_as_an_option_does() {
        for first in 0..=u8::MAX {
            let id = Uuid::from_bytes([first; 16]);
            assert_eq!(looks_like_an_option(id), TopicId(id).to_base64().starts_with('-'), "{id}");
        }
        assert!((0..1_000).all(|_| !TopicId(shown_uuid()).to_base64().starts_with('-')));
    }
}
