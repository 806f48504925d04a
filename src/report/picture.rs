//! Pictures: tables with their indexes as SVG, and the graph of a manifest's resources.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use super::markdown::html;
use crate::kind::{Address, DesiredResource, Line};

/// A box with a title and lines of two columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// The graph of a manifest's resources and their references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// The column of each node.
    columns: Vec<usize>,
}

/// An edge between two nodes, by their indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: usize,
    to: usize,
    why: String,
}

/// The reference of one resource to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub from: Address,
    pub to: Address,
    pub why: String,
}

impl Graph {
    /// Returns the graph of the desired resources and their references.
    pub fn of(desired: &[DesiredResource], links: &[Link]) -> Self {
        let node = |resource: &DesiredResource| Node {
            id: resource.address().to_string(),
            title: resource.name().to_owned(),
            lines: resource.sketch(),
        };
        let places: BTreeMap<&Address, usize> =
            desired.iter().enumerate().map(|(place, resource)| (resource.address(), place)).collect();
        let edge = |link: &Link| {
            Some(Edge { from: *places.get(&link.from)?, to: *places.get(&link.to)?, why: link.why.clone() })
        };
        let edges: Vec<_> = links.iter().filter_map(edge).collect();
        // A resource is left of those to which it refers. Otherwise, the resources of a kind are together.
        let first = desired.iter().map(|resource| resource.address().kind).min();
        let mut columns: Vec<usize> =
            desired.iter().map(|resource| usize::from(Some(resource.address().kind) != first)).collect();
        for _ in 0..desired.len() {
            let before = columns.clone();
            for Edge { from, to, .. } in &edges {
                columns[*to] = columns[*to].max(columns[*from] + 1);
            }
            if columns == before {
                break;
            }
        }
        Self { nodes: desired.iter().map(node).collect(), edges, columns }
    }

    /// Returns the graph in the Mermaid language, which GitHub draws in Markdown.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (place, node) in self.nodes.iter().enumerate() {
            let line =
                |Line { name, text: description }: &Line| format!("<br/>{} {}", mermaid(name), mermaid(description));
            let lines: String = node.lines.iter().map(line).collect();
            let _ = writeln!(text, "  n{place}[\"<b>{}</b>{lines}\"]", mermaid(&node.title));
        }
        for Edge { from, to, why } in &self.edges {
            let _ = writeln!(text, "  n{from} -->|\"{}\"| n{to}", mermaid(why));
        }
        text
    }

    /// Returns the graph in the language of Graphviz.
    pub fn dot(&self) -> String {
        let mut text =
            String::from("digraph sentinel {\n  rankdir=LR;\n  node [shape=plaintext, fontname=\"sans-serif\"];\n");
        for (place, node) in self.nodes.iter().enumerate() {
            let row = |Line { name, text: description }: &Line| {
                format!("<tr><td align=\"left\">{}</td><td align=\"left\">{}</td></tr>", html(name), html(description))
            };
            let rows: String = node.lines.iter().map(row).collect();
            let head = format!("<tr><td colspan=\"2\"><b>{}</b></td></tr>", html(&node.title));
            let table = format!(
                "<table border=\"1\" cellborder=\"0\" cellspacing=\"0\" cellpadding=\"4\">{head}{rows}</table>"
            );
            let _ = writeln!(text, "  n{place} [label=<{table}>];");
        }
        for Edge { from, to, why } in &self.edges {
            let why = escape(why).replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "  n{from} -> n{to} [label=\"{why}\"];");
        }
        text + "}\n"
    }

    /// Returns the graph as SVG.
    pub fn svg(&self) -> String {
        let mut placed: Vec<Option<Placed<'_>>> = self.nodes.iter().map(|_| None).collect();
        let mut x = 0;
        for column in 0..=self.columns.iter().copied().max().unwrap_or(0) {
            let places: Vec<usize> = (0..self.nodes.len()).filter(|place| self.columns[*place] == column).collect();
            let boxes = layout(places.iter().map(|place| &self.nodes[*place]), x);
            x = width_of(&boxes).max(x) + if boxes.is_empty() { 0 } else { GAP };
            places.into_iter().zip(boxes).for_each(|(place, one)| placed[place] = Some(one));
        }
        let placed: Vec<Placed<'_>> = placed.into_iter().flatten().collect();
        let mut body = String::new();
        for Edge { from, to, why } in &self.edges {
            if let (Some(from), Some(to)) = (placed.get(*from), placed.get(*to)) {
                let (x1, y1, x2, y2) = (from.x + from.width, from.y + HEAD / 2, to.x, to.y + HEAD / 2);
                let middle = usize::midpoint(x1, x2);
                let _ = write!(
                    body,
                    "<path class=\"edge\" d=\"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}\" marker-end=\"url(#tip)\"><title>{}</title></path>",
                    html(why)
                );
            }
        }
        body.extend(placed.iter().map(Placed::draw));
        let width = placed.iter().map(|one| one.x + one.width).max().unwrap_or(0) + MARGIN;
        let height = placed.iter().map(|one| one.y + one.height()).max().unwrap_or(0) + MARGIN;
        svg(width, height, "the resources of the manifest", &body)
    }
}

/// Returns text for a Mermaid label in quotes, where only entities are safe.
fn mermaid(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || " _-./:,()".contains(letter);
    let letter = |letter: char| if plain(letter) { letter.to_string() } else { format!("#{};", u32::from(letter)) };
    escape(text).chars().map(letter).collect()
}

const MARGIN: usize = 12;
const GAP: usize = 90;
const HEAD: usize = 30;
const LINE: usize = 22;
/// The approximate width of a letter of a monospaced font of 12 pixels.
const LETTER: usize = 8;

#[derive(Debug)]
struct Placed<'a> {
    node: &'a Node,
    x: usize,
    y: usize,
    width: usize,
    /// The x coordinate of the second column of its lines.
    column: usize,
}

impl Placed<'_> {
    fn height(&self) -> usize {
        HEAD + self.node.lines.len() * LINE + 8
    }

    fn draw(&self) -> String {
        let (x, y, width, height) = (self.x, self.y, self.width, self.height());
        let mut text = format!(
            "<g class=\"node\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>",
            html(&self.node.id)
        );
        let _ =
            write!(text, "<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>", x + 10, y + 20, html(&self.node.title));
        let _ = write!(text, "<line x1=\"{x}\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\"/>", y + HEAD, x + width);
        for (place, Line { name, text: description }) in self.node.lines.iter().enumerate() {
            let line = y + HEAD + (place + 1) * LINE - 4;
            let _ = write!(text, "<text class=\"name\" x=\"{}\" y=\"{line}\">{}</text>", x + 10, html(name));
            let _ = write!(text, "<text x=\"{}\" y=\"{line}\">{}</text>", x + self.column, html(description));
        }
        text + "</g>"
    }
}

fn length(text: &str) -> usize {
    escape(text).chars().count()
}

/// Returns boxes of the same width, one below the other.
fn layout<'a>(nodes: impl Iterator<Item = &'a Node> + Clone, x: usize) -> Vec<Placed<'a>> {
    let names = nodes.clone().flat_map(|node| &node.lines).map(|line| length(&line.name)).max().unwrap_or(0);
    let longest = nodes.clone().flat_map(|node| &node.lines).map(|line| length(&line.text)).max().unwrap_or(0);
    let titles = nodes.clone().map(|node| length(&node.title)).max().unwrap_or(0);
    let column = 10 + (names + 2) * LETTER;
    let width = (column + longest * LETTER + 10).max(titles * LETTER + 24);
    let mut y = MARGIN;
    let mut placed = Vec::new();
    for node in nodes {
        let one = Placed { node, x: x + MARGIN, y, width, column };
        y += one.height() + MARGIN;
        placed.push(one);
    }
    placed
}

fn width_of(column: &[Placed<'_>]) -> usize {
    column.iter().map(|one| one.x + one.width).max().unwrap_or(0)
}

/// Returns the picture of one resource.
pub(super) fn resource(title: &str, lines: Vec<Line>) -> String {
    let node = Node { id: title.to_owned(), title: title.to_owned(), lines };
    let placed = layout(std::iter::once(&node), 0);
    let body: String = placed.iter().map(Placed::draw).collect();
    let (width, height) =
        placed.first().map_or((0, 0), |one| (one.x + one.width + MARGIN, one.y + one.height() + MARGIN));
    let lines: Vec<String> = node.lines.iter().map(|Line { name, text }| format!("{name} {text}")).collect();
    svg(width, height, &format!("{title}: {}", lines.join("; ")), &body)
}

fn svg(width: usize, height: usize, what: &str, body: &str) -> String {
    let what = html(what);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{what}\">\
<style>.node rect{{fill:#f6f8fa;stroke:#57606a}}.node line{{stroke:#57606a}}.edge{{fill:none;stroke:#57606a}}\
text{{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}}.title{{font-weight:bold}}.name{{fill:#0550ae}}.tip{{fill:#57606a}}\
@media (prefers-color-scheme:dark){{.node rect{{fill:#161b22;stroke:#8b949e}}.node line,.edge{{stroke:#8b949e}}text{{fill:#e6edf3}}.name{{fill:#79c0ff}}.tip{{fill:#8b949e}}}}</style>\
<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\
{body}</svg>\n"
    )
}
