//! Ids of flows, as a store gives them.

/// Splits a flow id that a store gave into the store's id and the flow's number.
pub(super) fn parts_of(flow_id: &str) -> Option<(&str, i64)> {
    let (store, number) = flow_id.split_once('-')?;
    let is_store = store.len() == 16
        && store
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    // Only the one way in which a store writes it: `+7` and `007` are ids of somebody else.
    let parsed: i64 = number.parse().ok()?;
    (is_store && parsed > 0 && parsed.to_string() == number).then_some((store, parsed))
}

#[cfg(test)]
mod tests {
    use super::parts_of;

    #[test]
    fn only_ids_that_a_store_gave_are_taken_apart() {
        assert_eq!(
            parts_of("00112233445566ff-17"),
            Some(("00112233445566ff", 17))
        );
        for foreign in [
            "",
            "-",
            "17",
            "00112233445566FF-17",
            "00112233445566ff-017",
            "00112233445566ff-+17",
            "00112233445566ff-0",
            "00112233445566ff--17",
            "00112233445566ff-99999999999999999999",
            "0011223344556677889-1",
        ] {
            assert_eq!(parts_of(foreign), None, "{foreign}");
        }
    }
}
