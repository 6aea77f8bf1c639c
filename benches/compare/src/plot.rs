//! The figures as a picture, an SVG file: CPU time by client, throughput over connections and over cores, and delivered bytes
//! over time.

use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Result;
use crate::compare::{Comparison, gib};
use crate::cores::WayRun;
use crate::link::{Curve, LinkRun};
use crate::sweep::Point;
use crate::tool::Tool;

/// A panel's size in pixels.
const PANEL: (u32, u32) = (480, 320);
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The figures that a picture can show.
pub(crate) struct Figures<'a> {
    /// A bar for each client.
    pub(crate) bars: Option<&'a Comparison>,
    pub(crate) connections: &'a [Point],
    pub(crate) cores: &'a [WayRun],
    pub(crate) links: &'a [LinkRun],
}

/// A part of the picture.
enum Panel<'a> {
    Bars(&'a Comparison),
    Connections(&'a [Point]),
    /// The ways over one scheme.
    Cores(Vec<&'a WayRun>),
    Link(&'a LinkRun),
}

/// Draws a panel for each kind of figure: two for the schemes over cores, and two for the first and the last link.
pub(crate) fn draw(path: &Path, figures: &Figures<'_>) -> Result<()> {
    let panels = panels(figures);
    if panels.is_empty() {
        return Err("nothing was measured that a plot shows".into());
    }
    let root = SVGBackend::new(path, (PANEL.0 * u32::try_from(panels.len())?, PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, panels.len()));
    for (panel, area) in panels.into_iter().zip(&areas) {
        match panel {
            Panel::Bars(comparison) => cpu(area, comparison)?,
            Panel::Connections(points) => throughput(area, points)?,
            Panel::Cores(ways) => over_cores(area, &ways)?,
            Panel::Link(run) => delivered(area, run)?,
        }
    }
    root.present()?;
    Ok(())
}

fn panels<'a>(figures: &Figures<'a>) -> Vec<Panel<'a>> {
    let has_figures = |comparison: &Comparison| Tool::ALL.iter().any(|tool| comparison.row(*tool).is_some());
    let mut panels: Vec<Panel<'_>> =
        figures.bars.filter(|comparison| has_figures(comparison)).map(Panel::Bars).into_iter().collect();
    if figures.connections.iter().any(|point| has_figures(&point.comparison)) {
        panels.push(Panel::Connections(figures.connections));
    }
    for is_tls in [false, true] {
        let ways: Vec<_> = figures.cores.iter().filter(|way| way.is_tls == is_tls).collect();
        if ways.iter().flat_map(|way| &way.points).any(|point| has_figures(&point.comparison)) {
            panels.push(Panel::Cores(ways));
        }
    }
    let (first, last) = (figures.links.first(), figures.links.iter().skip(1).last());
    panels.extend(first.into_iter().chain(last).map(Panel::Link));
    panels
}

fn cpu(area: &Area<'_>, comparison: &Comparison) -> Result<()> {
    let bars: Vec<(Tool, f64)> = Tool::ALL
        .into_iter()
        .rev()
        .filter_map(|tool| Some((tool, comparison.row(tool)?.cpu_per_gib(comparison.size))))
        .collect();
    let largest = bars.iter().map(|(_, cpu)| *cpu).fold(0.0, f64::max);
    // Room for the words after the longest bar.
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
    let lines = Tool::ALL.into_iter().map(|tool| Line::new(tool, line(points, tool)));
    let connections = |x: &f64| {
        let point = points.iter().enumerate().find(|(n, _)| (index(*n) - x).abs() < 0.01);
        point.map_or_else(String::new, |(_, point)| point.at.to_string())
    };
    LineChart {
        caption: "MiB a second over connections (s3like)".to_owned(),
        lines: lines.filter(|line| !line.points.is_empty()).collect(),
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
    let line = |curve: &Curve| Line::new(curve.tool, curve.points.iter().map(point).collect());
    let lines: Vec<Line> =
        run.curves.iter().filter(|curve| curve.failure.is_none()).rev().map(line).collect();
    LineChart {
        caption: format!("MiB delivered over seconds ({} Mbit/s)", run.rate),
        x_max: lines.iter().flat_map(|line| &line.points).map(|(seconds, _)| *seconds).fold(0.0, f64::max),
        lines,
        x_labels: None,
        x_label: &|x| format!("{x:.0}"),
        has_dots: false,
    }
    .draw(area)
}

/// Throughput over the number of slow cores, a line for each client and output.
fn over_cores(area: &Area<'_>, ways: &[&WayRun]) -> Result<()> {
    let mut lines = Vec::new();
    for tool in Tool::ALL {
        for way in ways {
            let speed = |point: &Point| Some(point.comparison.row(tool)?.throughput(point.comparison.size));
            let points: Vec<_> =
                way.points.iter().filter_map(|point| Some((number(point.at), speed(point)?))).collect();
            if !points.is_empty() {
                let label = format!("{} {}", tool.name(), way.output());
                lines.push(Line { label, is_faint: !way.is_null, ..Line::new(tool, points) });
            }
        }
    }
    let scheme = ways.first().map_or("", |way| way.scheme());
    LineChart {
        caption: format!("MiB a second over slow cores ({scheme})"),
        x_max: lines.iter().flat_map(|line| &line.points).map(|(cores, _)| *cores).fold(0.0, f64::max),
        lines,
        x_labels: Some(5),
        x_label: &|x| format!("{x:.0}"),
        has_dots: true,
    }
    .draw(area)
}

/// One line of a chart.
struct Line {
    label: String,
    tool: Tool,
    is_faint: bool,
    points: Vec<(f64, f64)>,
}

impl Line {
    fn new(tool: Tool, points: Vec<(f64, f64)>) -> Self {
        Self { label: tool.name().to_owned(), tool, is_faint: false, points }
    }
}

/// A panel with a line for each client, both axes from 0.
struct LineChart<'a> {
    caption: String,
    lines: Vec<Line>,
    x_max: f64,
    /// How many labels the x axis has; as many as fit if `None`.
    x_labels: Option<usize>,
    x_label: &'a dyn Fn(&f64) -> String,
    has_dots: bool,
}

impl LineChart<'_> {
    fn draw(self, area: &Area<'_>) -> Result<()> {
        let y_max = self.lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(0.0, f64::max);
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
        for line in self.lines {
            let colour = colour(line.tool).mix(if line.is_faint { 0.5 } else { 1.0 });
            let dots = line.points.clone().into_iter().filter(|_| self.has_dots);
            let dots = dots.map(|at| Circle::new(at, 3, colour.filled()));
            chart
                .draw_series(LineSeries::new(line.points, colour.stroke_width(2)))?
                .label(line.label)
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
    number(n as u64)
}

fn number(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// A strong colour for s3fcp, muted ones for the rest, which can still be distinguished where their lines cross.
fn colour(tool: Tool) -> RGBColor {
    match tool {
        Tool::S3fcp => RGBColor(214, 90, 40),
        Tool::Floor => RGBColor(190, 190, 190),
        Tool::Sdk => RGBColor(70, 90, 120),
        Tool::Curl => RGBColor(58, 110, 165),
        Tool::S5cmd => RGBColor(86, 150, 120),
        Tool::Aws => RGBColor(146, 120, 170),
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
        let bars = comparison(1);
        let way = |is_tls| WayRun {
            is_tls,
            is_null: false,
            points: [(1, 4), (4, 1)].map(|(at, wall)| Point { at, comparison: comparison(wall) }).into(),
        };
        let link = |rate| LinkRun {
            rate,
            curves: [Tool::S3fcp, Tool::Curl]
                .map(|tool| Curve {
                    tool,
                    points: vec![(Duration::ZERO, 0), (Duration::from_secs(1), MIB)],
                    connections: 1,
                    failure: None,
                })
                .into(),
        };
        let (cores, links) = ([way(false), way(true)], [link(16), link(100), link(1000)]);
        let all = Figures { bars: Some(&bars), connections: &points, cores: &cores, links: &links };
        draw(&file, &all).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert_eq!((svg.matches("s3fcp").count(), svg.matches("curl").count()), (6, 6), "{svg}");
        let nothing = Comparison { title: String::new(), size: MIB, rows: Vec::new() };
        let none = Figures { bars: Some(&nothing), connections: &[], cores: &[], links: &[] };
        assert!(draw(&file, &none).is_err());
    }
}
