//! ISO-8601 durations as `java.time.Duration.parse` reads them.

/// Milliseconds of `PnDTnHnMn.nS`; `None` if it is not one. Signs are allowed before each number and before the `P`.
pub(crate) fn parse_iso_duration_ms(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let text = text.strip_prefix('P')?;
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let mut ms = 0i64;
    let rest = add_unit(date, 'D', 86_400_000, &mut ms)?;
    if !rest.is_empty() {
        return None;
    }
    let rest = add_unit(time, 'H', 3_600_000, &mut ms)?;
    let rest = add_unit(rest, 'M', 60_000, &mut ms)?;
    add_seconds(rest, &mut ms)?;
    Some(if negative { -ms } else { ms })
}

/// Adds a leading `n<unit>`, if there is one, and returns what follows.
fn add_unit<'a>(text: &'a str, unit: char, unit_ms: i64, ms: &mut i64) -> Option<&'a str> {
    let Some((number, rest)) = text.split_once(unit) else { return Some(text) };
    let number: i64 = number.parse().ok()?;
    *ms = ms.checked_add(number.checked_mul(unit_ms)?)?;
    Some(rest)
}

/// Adds `n[.fraction]S`, or nothing where the text is empty.
fn add_seconds(text: &str, ms: &mut i64) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let number = text.strip_suffix('S')?;
    let (whole, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let fraction_ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let fraction_ms = if whole.starts_with('-') { -fraction_ms } else { fraction_ms };
    *ms = ms.checked_add(seconds.checked_mul(1_000)?)?.checked_add(fraction_ms)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        for (text, ms) in [
            ("PT1H", Some(3_600_000)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("pt0s", Some(0)),
            ("-PT1M", Some(-60_000)),
            ("PT-1.25S", Some(-1_250)),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("PT1M1H", None),
            ("1h", None),
        ] {
            assert_eq!(parse_iso_duration_ms(text), ms, "{text}");
        }
    }
}
