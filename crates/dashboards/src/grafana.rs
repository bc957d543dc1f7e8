//! Dashboards in Grafana's JSON model (schema version 39).

use serde_json::{Value, json};

use super::{Board, Panel, Unit, Variable, pretty};

/// Of the 24 columns that Grafana has.
const CURVES_WIDTH: usize = 12;
const CURVES_HEIGHT: usize = 8;
const STAT_WIDTH: usize = 4;
const STAT_HEIGHT: usize = 4;
const COLUMNS: usize = 24;

pub(super) fn board(board: &Board) -> String {
    let mut place = Place::default();
    let panels: Vec<Value> = board
        .panels
        .iter()
        .enumerate()
        .map(|(at, one)| panel(at + 1, one, place.next(one.is_stat)))
        .collect();
    let mut variables = vec![json!({
        "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source",
    })];
    variables.extend(board.variables.iter().map(variable));
    pretty(&json!({
        "uid": board.uid,
        "title": board.title,
        "tags": ["ottla"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "templating": {"list": variables},
        "panels": panels,
    }))
}

fn variable(variable: &Variable) -> Value {
    json!({
        "name": variable.name,
        "type": "query",
        "datasource": datasource(),
        "query": format!("label_values({}, {})", variable.series, variable.name),
        "includeAll": true,
        "allValue": ".*",
        "multi": true,
        "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    })
}

fn panel(id: usize, panel: &Panel, place: Value) -> Value {
    let targets = panel.queries.iter().enumerate().map(|(at, query)| {
        let letter = char::from(b'A' + u8::try_from(at).unwrap_or(0));
        json!({
            "refId": letter.to_string(),
            "datasource": datasource(),
            "expr": query.expr,
            "legendFormat": query.legend,
        })
    });
    json!({
        "id": id,
        "type": if panel.is_stat { "stat" } else { "timeseries" },
        "title": panel.title,
        "datasource": datasource(),
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit(panel.unit), "min": 0}, "overrides": []},
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::PerSecond => "cps",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "Bps",
        Unit::Seconds => "s",
        Unit::Share => "percentunit",
    }
}

/// Where the next panel goes: from left to right, in rows of panels of one kind.
#[derive(Default)]
struct Place {
    x: usize,
    y: usize,
    row_height: usize,
}

impl Place {
    fn next(&mut self, is_stat: bool) -> Value {
        let (width, height) = if is_stat { (STAT_WIDTH, STAT_HEIGHT) } else { (CURVES_WIDTH, CURVES_HEIGHT) };
        if self.x + width > COLUMNS || (self.row_height != 0 && self.row_height != height) {
            (self.x, self.y) = (0, self.y + self.row_height);
        }
        self.row_height = height;
        let place = json!({"x": self.x, "y": self.y, "w": width, "h": height});
        self.x += width;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_do_not_overlap_and_stay_on_the_page() {
        let mut place = Place::default();
        let mut taken = std::collections::HashSet::new();
        for is_stat in [true, true, true, true, true, true, true, false, false, false, true] {
            let at = place.next(is_stat);
            let number = |name: &str| at[name].as_u64().unwrap_or(u64::MAX);
            assert!(number("x") + number("w") <= 24);
            for x in number("x")..number("x") + number("w") {
                for y in number("y")..number("y") + number("h") {
                    assert!(taken.insert((x, y)), "{x}, {y} is taken");
                }
            }
        }
    }
}
