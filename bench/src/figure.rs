//! The measured figures: their names in stored results, and their format in reports.

/// One kind of figure.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Its name in stored results.
    pub(crate) name: &'static str,
    /// Its heading in a table.
    pub(crate) label: &'static str,
    /// True if less is better.
    pub(crate) less_is_better: bool,
    style: Style,
}

#[derive(Debug)]
enum Style {
    /// Three significant digits.
    Number,
    /// A ratio, shown as percent.
    Share,
}

impl Figure {
    /// The value as text.
    pub(crate) fn show(&self, value: f64) -> String {
        match self.style {
            Style::Share => format!("{:.0} %", value * 100.0),
            Style::Number => significant(value),
        }
    }
}

/// Three significant digits, with a thousands separator.
pub(crate) fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        magnitude if magnitude >= 100.0 => 0,
        magnitude if magnitude >= 10.0 => 1,
        magnitude if magnitude >= 1.0 || magnitude == 0.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if value.abs() < 1000.0 {
        return text;
    }
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

const fn number(name: &'static str, label: &'static str, less_is_better: bool) -> Figure {
    Figure {
        name,
        label,
        less_is_better,
        style: Style::Number,
    }
}

const fn share(name: &'static str, label: &'static str, less_is_better: bool) -> Figure {
    Figure {
        name,
        label,
        less_is_better,
        style: Style::Share,
    }
}

/// All kinds.
const ALL: &[Figure] = &[
    number("cpu_us_per_delivery", "server CPU per delivery, µs", true),
    number("near_us_per_delivery", "of that, the sender's node, µs", true),
    number("far_us_per_delivery", "of that, the members' node, µs", true),
    number("redis_us_per_delivery", "Redis beside it, µs", true),
    number("deliveries_per_s", "deliveries/s", false),
    number("messages_per_s", "messages/s", false),
    number("saturating_per_s", "saturating messages/s", false),
    number("delivery_p50_ms", "delivery p50, ms", true),
    number("delivery_p99_ms", "delivery p99, ms", true),
    number("delivery_p999_ms", "delivery p99.9, ms", true),
    number("p99_same_ms", "delivery p99 at two messages/s, ms", true),
    number("acked_per_s", "acked messages/s", false),
    number("ack_p50_ms", "ack p50, ms", true),
    number("ack_p99_ms", "ack p99, ms", true),
    number("cpu_us_per_send", "server CPU per acked message, µs", true),
    number("redis_us_per_send", "Redis beside it, µs", true),
    number("postgres_us_per_send", "PostgreSQL beside it, µs", true),
    number(
        "unserved_us_per_message",
        "CPU per message of a node without members, µs",
        true,
    ),
    number("batch", "messages a commit", false),
    number("bare_per_s", "bare SQLite, rows/s", false),
    share("of_bare", "of bare SQLite", false),
    number("rss_kib_per_client", "RSS per client, KiB", true),
    number("cpu_us_per_client_s", "CPU per client and second, µs", true),
    number("connects_per_core_s", "connects per second of CPU", false),
    number("connects_per_s", "connects/s", false),
    number("connect_p99_ms", "connect p99, ms", true),
    number("joins_per_s", "joins/s", false),
    number("join_p99_ms", "join p99, ms", true),
    number("cpu_us_per_join", "CPU per join, µs", true),
    number("p99_alone_ms", "p99 while all read, ms", true),
    number("p99_beside_ms", "p99 beside stopped readers, ms", true),
    number("p99_ratio", "p99 beside stopped readers / before", true),
    number("stopped_kib", "memory per stopped reader, KiB", true),
    number("stopped_closed", "stopped readers sent away", false),
    number("stopped_counted", "of those, counted as slow_consumer", false),
    number("missed", "durable messages missed after return", true),
    share("server_busy", "server busy", true),
    share("loader_busy", "loader busy", true),
];

/// The kind of that name.
pub(crate) fn by_name(name: &str) -> Option<&'static Figure> {
    ALL.iter().find(|figure| figure.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(significant(0.0), "0.00");
        assert_eq!(significant(0.1234), "0.123");
        assert_eq!(significant(5.678), "5.68");
        assert_eq!(significant(56.78), "56.8");
        assert_eq!(significant(567.8), "568");
        assert_eq!(significant(1_234_567.8), "1,234,568");
    }
}
