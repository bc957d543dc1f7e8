//! Pictures of a run: bars for every figure that all sides have, curves for latencies.

use std::fs;
use std::path::Path;

use plotters::prelude::*;

use super::load::Latencies;
use super::sides::Side;
use super::table::{Metric, Table};
use crate::Result;

const SIZE: (u32, u32) = (720, 420);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 3] = [RGBColor(150, 150, 150), RGBColor(200, 90, 60), RGBColor(50, 110, 190)];

/// An SVG file a figure, in `dir`.
pub(super) fn draw(table: &Table, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    for metric in &table.metrics {
        bars(metric, &dir.join(file_name(&metric.name)))?;
    }
    for (name, curves) in &table.curves {
        self::curves(name, curves, &dir.join(file_name(&format!("{name}: latencies"))))?;
    }
    Ok(())
}

fn file_name(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let words: Vec<String> =
        plain.collect::<String>().split('-').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    format!("{}.svg", words.join("-"))
}

fn bars(metric: &Metric, path: &Path) -> Result<()> {
    let sides: Vec<Side> =
        Side::ALL.into_iter().filter(|side| !metric.figures.of(*side).is_empty()).collect();
    let most = sides.iter().map(|side| metric.figures.of(*side).max()).fold(0.0, f64::max);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let count = u32::try_from(sides.len())?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{}, {}", metric.name, metric.unit), (FONT, 16))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d((0..count).into_segmented(), 0.0..most * 1.1 + f64::MIN_POSITIVE)?;
    let label = |x: &SegmentValue<u32>| match x {
        SegmentValue::CenterOf(at) => sides.get(*at as usize).map_or("", |side| side.name()).to_owned(),
        _ => String::new(),
    };
    chart.configure_mesh().disable_x_mesh().x_label_formatter(&label).draw()?;
    for (at, side) in (0..count).zip(&sides) {
        let samples = metric.figures.of(*side);
        let colour = COLOURS[*side as usize];
        let bar = [(SegmentValue::Exact(at), 0.0), (SegmentValue::Exact(at + 1), samples.median())];
        chart.draw_series([Rectangle::new(bar, colour.filled())])?;
        let spread = ErrorBar::new_vertical(
            SegmentValue::CenterOf(at),
            samples.min(),
            samples.median(),
            samples.max(),
            BLACK.filled(),
            8,
        );
        chart.draw_series([spread])?;
    }
    root.present()?;
    Ok(())
}

/// Latency over the part of requests that were slower, both by powers of ten.
fn curves(name: &str, curves: &[Latencies; 3], path: &Path) -> Result<()> {
    let points = |latencies: &Latencies| -> Vec<(f64, f64)> {
        let steps = (0..=40).map(|step| f64::from(step) / 10.0);
        steps
            .map(|nines| (nines, latencies.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64 / 1e3))
            .collect()
    };
    let most = curves.iter().map(|latencies| latencies.max() as f64 / 1e3).fold(1.0, f64::max);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{name}, ms"), (FONT, 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..4.0, (0.05..most).log_scale())?;
    let label = |nines: &f64| format!("{:.4}", 1.0 - 10_f64.powf(-nines));
    chart.configure_mesh().x_labels(5).x_label_formatter(&label).x_desc("quantile").draw()?;
    for (side, latencies) in Side::ALL.into_iter().zip(curves) {
        let colour = COLOURS[side as usize];
        let series = chart.draw_series(LineSeries::new(points(latencies), colour.stroke_width(2)))?;
        series
            .label(side.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
    }
    chart.configure_series_labels().border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}
