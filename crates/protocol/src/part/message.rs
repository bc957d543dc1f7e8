//! The macro that turns a schema, written as a struct, into a message.

/// Declares structs whose fields carry their schema's versions, with `Default`, and reading and writing at each version:
///
/// `name: Type = default => versions, ignorable, nullable(versions), tag(n);`
///
/// Fields stand in the schema's order, tagged ones last and by tag.
macro_rules! message {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_doc:meta])*
                $field:ident: $type:ty $(= $default:expr)? => $versions:expr $(, $flag:ident $(($arg:expr))?)*;
            )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::part::message!(@default $($default)?),)* }
            }
        }

        impl $crate::part::Part for $name {
            fn read(
                reader: &mut $crate::part::BodyReader<'_>,
                v: $crate::part::Version,
            ) -> Result<Self, ottla_model::wire::WireError> {
                let mut message = Self::default();
                $(
                    $crate::part::FieldRule::new(stringify!($field), $versions)$(.$flag($($arg)?))*
                        .read_plain(&mut message.$field, reader, v)?;
                )*
                if v.flexible {
                    reader.tagged_fields(|tag, reader| {
                        $(
                            $crate::part::FieldRule::new(stringify!($field), $versions)$(.$flag($($arg)?))*
                                .read_tagged(&mut message.$field, tag, reader, v)?;
                        )*
                        Ok(())
                    })?;
                }
                Ok(message)
            }

            fn write(
                &self,
                out: &mut bytes::BytesMut,
                v: $crate::part::Version,
            ) -> Result<(), $crate::EncodeError> {
                let default = Self::default();
                let mut tagged = Vec::new();
                $(
                    let rule = $crate::part::FieldRule::new(stringify!($field), $versions)$(.$flag($($arg)?))*;
                    rule.write_plain(&self.$field, &default.$field, out, v)?;
                    rule.write_tagged(&self.$field, &default.$field, &mut tagged, v)?;
                )*
                if v.flexible {
                    $crate::part::put_tagged_fields(out, &tagged)?;
                }
                Ok(())
            }
        }
    )*};
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
}

pub(crate) use message;
