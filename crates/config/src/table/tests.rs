use super::*;

#[test]
fn every_row_is_indexed_once() {
    let rows: usize = BROKER.iter().map(|rows| rows.len()).sum();
    assert_eq!(rows, definitions(Scope::Broker).count());
}
