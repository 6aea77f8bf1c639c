//! The figures as a picture, an SVG file: CPU time by client, throughput over connections, and delivered bytes over time.

use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Result;
use crate::compare::{Comparison, gib};
use crate::link::LinkRun;
use crate::sweep::Point;
use crate::tool::Tool;

/// A panel's size in pixels.
const PANEL: (u32, u32) = (480, 320);
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws `bars`, one for each client, and `lines` over the number of connections.
pub(crate) fn draw(
    path: &Path,
    bars: Option<&Comparison>,
    lines: Option<&[Point]>,
    over_links: Option<&[LinkRun]>,
) -> Result<()> {
    let has_figures = |comparison: &Comparison| Tool::ALL.iter().any(|tool| comparison.row(*tool).is_some());
    let bars = bars.filter(|comparison| has_figures(comparison));
    let lines = lines.filter(|points| points.iter().any(|point| has_figures(&point.comparison)));
    // A slow link and the fastest.
    let slow_and_fast: Vec<&LinkRun> =
        over_links.map_or_else(Vec::new, |runs| runs.iter().skip(1).step_by(2).collect());
    let panels = u32::from(bars.is_some()) + u32::from(lines.is_some()) + u32::try_from(slow_and_fast.len())?;
    if panels == 0 {
        return Err("nothing was measured that a plot shows".into());
    }
    let root = SVGBackend::new(path, (PANEL.0 * panels, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, panels as usize));
    let mut areas = areas.iter();
    if let (Some(comparison), Some(area)) = (bars, bars.and_then(|_| areas.next())) {
        cpu(area, comparison)?;
    }
    if let (Some(points), Some(area)) = (lines, lines.and_then(|_| areas.next())) {
        throughput(area, points)?;
    }
    for (run, area) in slow_and_fast.into_iter().zip(areas) {
        delivered(area, run)?;
    }
    root.present()?;
    Ok(())
}

fn cpu(area: &Area<'_>, comparison: &Comparison) -> Result<()> {
    let bars: Vec<(Tool, f64)> = Tool::ALL
        .into_iter()
        .rev()
        .filter_map(|tool| Some((tool, comparison.row(tool)?.cpu_per_gib(comparison.size))))
        .collect();
    let largest = bars.iter().map(|(_, cpu)| *cpu).fold(0.0, f64::max);
    // Room for the words behind the longest bar.
    let mut chart = ChartBuilder::on(area)
        .caption(format!("CPU seconds a GiB ({})", comparison.title), (FONT, 14))
        .margin(10)
        .x_label_area_size(24)
        .build_cartesian_2d(0.0..largest * 1.25, 0.0..index(bars.len()))?;
    chart
        .configure_mesh()
        .disable_y_axis()
        .disable_y_mesh()
        .max_light_lines(0)
        .label_style((FONT, 13))
        .draw()?;
    for (n, (tool, cpu)) in bars.into_iter().enumerate() {
        let corners = [(0.0, index(n) + 0.1), (cpu, index(n) + 0.9)];
        let words = format!("{} {cpu:.2}", tool.name());
        let words = EmptyElement::at((cpu, index(n) + 0.5)) + Text::new(words, (5, -6), (FONT, 13));
        chart.draw_series([Rectangle::new(corners, colour(tool).filled())])?;
        chart.draw_series([words])?;
    }
    Ok(())
}

/// Throughput over the number of connections.
fn throughput(area: &Area<'_>, points: &[Point]) -> Result<()> {
    let lines = Tool::ALL.into_iter().map(|tool| (tool, line(points, tool)));
    let connections = |x: &f64| {
        let point = points.iter().enumerate().find(|(n, _)| (index(*n) - x).abs() < 0.01);
        point.map_or_else(String::new, |(_, point)| point.at.to_string())
    };
    LineChart {
        caption: "MiB a second over connections (s3like)".to_owned(),
        lines: lines.filter(|(_, line)| !line.is_empty()).collect(),
        x_max: index(points.len().saturating_sub(1)),
        x_labels: Some(points.len()),
        x_label: &connections,
        has_dots: true,
    }
    .draw(area)
}

/// Delivered MiB over seconds on one link.
fn delivered(area: &Area<'_>, run: &LinkRun) -> Result<()> {
    let point = |(at, bytes): &(Duration, u64)| (at.as_secs_f64(), 1024.0 * gib(*bytes));
    let lines: Vec<(Tool, Vec<_>)> =
        run.curves.iter().rev().map(|curve| (curve.tool, curve.points.iter().map(point).collect())).collect();
    LineChart {
        caption: format!("MiB delivered over seconds ({} Mbit/s)", run.rate),
        x_max: lines.iter().flat_map(|(_, line)| line).map(|(seconds, _)| *seconds).fold(0.0, f64::max),
        lines,
        x_labels: None,
        x_label: &|x| format!("{x:.0}"),
        has_dots: false,
    }
    .draw(area)
}

/// A panel with a line for each client, both axes from 0.
struct LineChart<'a> {
    caption: String,
    lines: Vec<(Tool, Vec<(f64, f64)>)>,
    x_max: f64,
    /// How many labels the x axis has; as many as fit if `None`.
    x_labels: Option<usize>,
    x_label: &'a dyn Fn(&f64) -> String,
    has_dots: bool,
}

impl LineChart<'_> {
    fn draw(self, area: &Area<'_>) -> Result<()> {
        let y_max = self.lines.iter().flat_map(|(_, line)| line).map(|(_, y)| *y).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption(self.caption, (FONT, 14))
            .margin(10)
            .x_label_area_size(24)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..self.x_max, 0.0..y_max * 1.1)?;
        let mut mesh = chart.configure_mesh();
        if let Some(labels) = self.x_labels {
            mesh.x_labels(labels);
        }
        mesh.max_light_lines(0)
            .x_label_formatter(&self.x_label)
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style((FONT, 13))
            .draw()?;
        for (tool, line) in self.lines {
            let colour = colour(tool);
            let dots = line.clone().into_iter().filter(|_| self.has_dots);
            let dots = dots.map(|at| Circle::new(at, 3, colour.filled()));
            chart
                .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                .label(tool.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            chart.draw_series(dots)?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .label_font((FONT, 13))
            .draw()?;
        Ok(())
    }
}

/// A client's throughput at each point: the settings double, so they stand at equal distances.
fn line(points: &[Point], tool: Tool) -> Vec<(f64, f64)> {
    let speed = |point: &Point| Some(point.comparison.row(tool)?.throughput(point.comparison.size));
    points.iter().enumerate().filter_map(|(n, point)| Some((index(n), speed(point)?))).collect()
}

fn index(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// One colour for s3fcp, greys for the rest, the darker the closer to the top of the tables.
fn colour(tool: Tool) -> RGBColor {
    match tool {
        Tool::S3fcp => RGBColor(214, 90, 40),
        Tool::Floor => RGBColor(190, 190, 190),
        Tool::Sdk => RGBColor(70, 90, 120),
        Tool::Curl => RGBColor(95, 112, 138),
        Tool::S5cmd => RGBColor(120, 135, 158),
        Tool::Aws => RGBColor(140, 153, 173),
        Tool::Rclone => RGBColor(158, 170, 188),
        Tool::S3get => RGBColor(174, 184, 199),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Row;
    use crate::run::{Cpu, Run};
    use crate::server::{MIB, Seen};

    fn comparison(seconds: u64) -> Comparison {
        let run = Run {
            cpu: Cpu { user: 0.1, system: 0.3 },
            wall: Duration::from_secs(seconds),
            first_byte: None,
            peak: None,
            seen: Seen::default(),
            failure: None,
        };
        let row = |tool| Row { tool, runs: vec![run.clone()], failure: None };
        Comparison { title: "a title".into(), size: MIB, rows: vec![row(Tool::S3fcp), row(Tool::Curl)] }
    }

    #[test]
    fn each_panel_shows_each_client() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plot.svg");
        let points = [(1, 4), (2, 2)].map(|(at, wall)| Point { at, comparison: comparison(wall) });
        draw(&file, Some(&comparison(1)), Some(&points), None).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert_eq!((svg.matches("s3fcp").count(), svg.matches("curl").count()), (2, 2), "{svg}");
        let nothing = Comparison { title: String::new(), size: MIB, rows: Vec::new() };
        assert!(draw(&file, Some(&nothing), None, None).is_err());
    }
}
