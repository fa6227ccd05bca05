//! Axes with series, as SVG.

use super::page::escape;
use crate::quantity::value;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;
/// Told apart also by those who see few colours (Okabe and Ito).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// Most points drawn of a series; more are thinned evenly.
const POINTS: usize = 4000;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Line,
    Dots,
    Bars,
}

/// Points under one name.
#[derive(Clone, Debug)]
pub struct Series {
    name: String,
    mark: Mark,
    points: Vec<(f64, f64)>,
}

impl Series {
    fn new(name: &str, mark: Mark, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let all: Vec<(f64, f64)> = points
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        let count = all.len().min(POINTS);
        let points = (0..count).map(|i| all[i * all.len() / count]).collect();
        Self {
            name: name.to_owned(),
            mark,
            points,
        }
    }

    /// Joined by a line.
    pub fn line(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Self {
        Self::new(name, Mark::Line, points)
    }

    /// A dot for each.
    pub fn dots(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Self {
        Self::new(name, Mark::Dots, points)
    }

    /// A bar for each, from zero.
    pub fn bars(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Self {
        Self::new(name, Mark::Bars, points)
    }
}

/// A pair of axes with series.
#[derive(Clone, Debug)]
pub struct Plot {
    x_label: String,
    y_label: String,
    series: Vec<Series>,
}

impl Plot {
    /// Without series yet.
    pub fn new(x_label: &str, y_label: &str) -> Self {
        Self {
            x_label: x_label.to_owned(),
            y_label: y_label.to_owned(),
            series: Vec::new(),
        }
    }

    /// Adds a series; an empty one is left out.
    pub fn add(&mut self, series: Series) {
        if !series.points.is_empty() {
            self.series.push(series);
        }
    }

    /// The drawing.
    pub fn svg(&self) -> String {
        let (x_range, y_range) = (
            self.range(|point| point.0, false),
            self.range(|point| point.1, self.has_bars()),
        );
        let across =
            |x: f64| LEFT + (x - x_range.0) / (x_range.1 - x_range.0) * (WIDTH - LEFT - RIGHT);
        let up = |y: f64| {
            HEIGHT - BOTTOM - (y - y_range.0) / (y_range.1 - y_range.0) * (HEIGHT - TOP - BOTTOM)
        };
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-size=\"12\" font-family=\"sans-serif\">"
        );
        for tick in ticks(y_range) {
            let y = up(tick);
            svg += &format!(
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                label(tick)
            );
        }
        for tick in ticks(x_range) {
            let x = across(tick);
            svg += &format!(
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 18.0,
                label(tick)
            );
        }
        svg += &format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text><text x=\"14\" y=\"{}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 14 {})\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            escape(&self.x_label),
            HEIGHT / 2.0 - 15.0,
            HEIGHT / 2.0 - 15.0,
            escape(&self.y_label)
        );
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            match series.mark {
                Mark::Line => {
                    let points: String = series
                        .points
                        .iter()
                        .map(|(x, y)| format!("{:.1},{:.1} ", across(*x), up(*y)))
                        .collect();
                    svg += &format!(
                        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{points}\"/>"
                    );
                }
                Mark::Dots => {
                    for (x, y) in &series.points {
                        svg += &format!(
                            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                            across(*x),
                            up(*y)
                        );
                    }
                }
                Mark::Bars => {
                    let width = ((WIDTH - LEFT - RIGHT) / (x_range.1 - x_range.0) * 0.8).max(1.0);
                    for (x, y) in &series.points {
                        let (top, bottom) = (up(y.max(0.0)), up(y.min(0.0)));
                        svg += &format!(
                            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                            across(*x) - width / 2.0,
                            bottom - top
                        );
                    }
                }
            }
        }
        if self.series.len() > 1 {
            for (row, (series, colour)) in self
                .series
                .iter()
                .zip(COLOURS.iter().cycle())
                .enumerate()
                .take(20)
            {
                let y = TOP + 14.0 + 16.0 * row as f64;
                svg += &format!(
                    "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"{colour}\" stroke=\"#fff\" stroke-width=\"3\" \
                     paint-order=\"stroke\">{}</text>",
                    WIDTH - RIGHT - 6.0,
                    escape(&series.name)
                );
            }
        }
        svg + "</svg>"
    }

    fn has_bars(&self) -> bool {
        self.series.iter().any(|series| series.mark == Mark::Bars)
    }

    /// What an axis spans, with a little room; with zero if asked for.
    fn range(&self, part: fn(&(f64, f64)) -> f64, zero: bool) -> (f64, f64) {
        let values = self
            .series
            .iter()
            .flat_map(|series| &series.points)
            .map(part);
        let (mut low, mut high) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low > high {
            return (0.0, 1.0);
        }
        let room = match high - low {
            span if span > 0.0 => 0.04 * span,
            _ => 0.5 * low.abs().max(1.0),
        };
        (low - room, high + room)
    }
}

/// Round numbers inside a range: about five, at steps of 1, 2 or 5 times a power of ten.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil();
    (0..12)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|tick| *tick <= high)
        .collect()
}

/// A tick without needless digits.
fn label(tick: f64) -> String {
    let text = value(tick);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 30.0)), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(ticks((-0.04, 1.04)), [0.0, 0.5, 1.0]);
        assert_eq!(label(0.5), "0.5");
        assert_eq!(label(10.0), "10");
        assert_eq!(label(200.0), "200");
    }

    #[test]
    fn nothing_one_point_and_not_a_number_are_drawn_without_trouble() {
        let mut plot = Plot::new("x", "y");
        assert!(plot.svg().ends_with("</svg>"));
        plot.add(Series::line("a", [(0.0, 1.0), (1.0, f64::NAN)].into_iter()));
        plot.add(Series::bars("b", std::iter::empty()));
        let svg = plot.svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
