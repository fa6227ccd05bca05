//! Numbers as people read them: bytes, times, values, a row of bars.

/// Bytes in the largest fitting decimal unit: `182 MB`.
pub fn bytes(count: u64) -> String {
    let count = count as f64;
    match count {
        c if c >= 9.95e9 => format!("{:.0} GB", c / 1e9),
        c if c >= 9.995e8 => format!("{:.1} GB", c / 1e9),
        c if c >= 9.5e5 => format!("{:.0} MB", c / 1e6),
        c if c >= 1e3 => format!("{:.0} kB", c / 1e3),
        c => format!("{c:.0} B"),
    }
}

/// A time as a clock shows it: `0:42`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A time in words: `0.4 s`, `12 s`, `3:05`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 99.5 => format!("{s:.0} s"),
        s => clock(s),
    }
}

/// A value with four significant digits: `0.5312`, `-23.00`, `1.200e-5`.
pub fn value(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.3e}")
    } else {
        let digits = 3 - size.log10().floor() as i32;
        format!("{value:.*}", digits.clamp(0, 6) as usize)
    }
}

/// One bar for each value, from the lowest to the highest; at most `width` bars, each the last value of its
/// stretch.
pub fn bars(values: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let count = values.len().min(width);
    let shown: Vec<f64> = (0..count)
        .map(|i| values[(i + 1) * values.len() / count - 1])
        .collect();
    let low = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let span = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    let bar = |value: f64| match span {
        span if span > 0.0 => BARS[((value - low) / span * 7.0).round() as usize],
        _ => BARS[3],
    };
    shown.into_iter().map(bar).collect()
}

/// A path in quotes where a shell needs them.
pub fn typed(path: &std::path::Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(182_400_000), "182 MB");
        assert_eq!(bytes(2_340_000_000), "2.3 GB");
        assert_eq!(clock(42.4), "0:42");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(value(0.531_24), "0.5312");
        assert_eq!(value(-23.0), "-23.00");
        assert_eq!(value(1.2e-5), "1.200e-5");
        assert_eq!(value(123_456.7), "123457");
        assert_eq!(value(0.0), "0");
    }

    #[test]
    fn bars_span_the_range_and_keep_the_last_value() {
        assert_eq!(bars(&[0.0, 1.0, 7.0], 10), "▁▂█");
        assert_eq!(bars(&[2.0, 2.0], 10), "▄▄");
        assert_eq!(bars(&[0.0, 9.0, 0.0, 1.0], 2), "█▁");
        assert_eq!(bars(&[], 10), "");
    }
}
