//! Times of a week as text.

use super::week::{DAY, Piece, day_name};

/// Returns whether the pieces cover the whole week.
pub(super) fn covers_week(pieces: &[Piece]) -> bool {
    let minutes: u32 = pieces.iter().map(|piece| u32::from(piece.end - piece.start)).sum();
    minutes == 7 * u32::from(DAY)
}

/// The spans of a day, in minutes: from, up to.
type Spans = Vec<(u16, u16)>;

/// Returns pieces of a week in words, as they end a sentence; nothing when they are the whole week.
pub(super) fn when(pieces: &[Piece], zone: Option<&str>) -> String {
    if covers_week(pieces) {
        return String::new();
    }
    let rows = rows(pieces);
    let zone = zone.map(|zone| format!(" ({zone})")).unwrap_or_default();
    if rows.len() > 3 {
        return format!(" at some times of the week{zone}");
    }
    format!(" {}{zone}", rows.join(", "))
}

/// Returns pieces of a week as text. Days with the same times are grouped: "Monday to Friday 09:00–17:00".
pub(super) fn rows(pieces: &[Piece]) -> Vec<String> {
    // The spans of each day, joined where they touch.
    let mut days: Vec<(usize, Spans)> = Vec::new();
    for piece in pieces {
        match days.last_mut().filter(|(day, _)| *day == piece.day) {
            Some((_, spans)) => match spans.last_mut().filter(|(_, end)| *end == piece.start) {
                Some((_, end)) => *end = piece.end,
                None => spans.push((piece.start, piece.end)),
            },
            None => days.push((piece.day, vec![(piece.start, piece.end)])),
        }
    }
    // The days with the same spans, in rows.
    let mut rows: Vec<(usize, usize, Spans)> = Vec::new();
    for (day, spans) in days {
        match rows.last_mut().filter(|(_, last, same)| *last + 1 == day && *same == spans) {
            Some((_, last, _)) => *last = day,
            None => rows.push((day, day, spans)),
        }
    }
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let row = |(first, last, spans): &(usize, usize, Spans)| {
        let days = match (first, last) {
            (0, 6) => String::from("every day"),
            (first, last) if first == last => day_name(*first).to_owned(),
            (first, last) if first + 1 == *last => format!("{} and {}", day_name(*first), day_name(*last)),
            (first, last) => format!("{} to {}", day_name(*first), day_name(*last)),
        };
        let spans: Vec<String> = match spans.as_slice() {
            [(0, DAY)] => Vec::new(),
            spans => spans.iter().map(|(start, end)| format!("{}\u{2013}{}", clock(*start), clock(*end))).collect(),
        };
        if spans.is_empty() { days } else { format!("{days} {}", spans.join(" and ")) }
    };
    rows.iter().map(row).collect()
}
