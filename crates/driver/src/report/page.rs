//! A page of HTML that needs nothing else: text, tables, figures.

use super::plot::Plot;

/// A page under construction.
pub struct Page {
    title: String,
    body: String,
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}\
th{color:#555;font-weight:600}figure{margin:1.5rem 0}figcaption{color:#555}\
code{background:#f3f3f3;padding:.1rem .3rem}svg{width:100%;height:auto}";

/// Text as HTML holds it.
pub fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
                c => out.push(c),
            }
            out
        })
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Self {
            title: escape(title),
            body: String::new(),
        }
    }

    /// The heading of a section.
    pub fn heading(&mut self, text: &str) {
        self.body += &format!("<h2>{}</h2>\n", escape(text));
    }

    /// A table.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            let cells: String = cells
                .map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)))
                .collect();
            format!("<tr>{cells}</tr>\n")
        };
        self.body += "<table>\n";
        self.body += &cells("th", &mut header.iter().copied());
        for row in rows {
            self.body += &cells("td", &mut row.iter().map(String::as_str));
        }
        self.body += "</table>\n";
    }

    /// A figure with its caption.
    pub fn figure(&mut self, caption: &str, plot: &Plot) {
        self.body += &format!(
            "<figure>{}<figcaption>{}</figcaption></figure>\n",
            plot.svg(),
            escape(caption)
        );
    }

    /// A command to type.
    pub fn command(&mut self, command: &str) {
        self.body += &format!("<p><code>{}</code></p>\n", escape(command));
    }

    /// The whole page.
    pub fn finish(self) -> String {
        let Self { title, body } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\">\n<title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}</body></html>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut page = Page::new("<script>");
        page.table(&["a&b"], &[vec!["\"x\" < y\u{7}".into()]]);
        let text = page.finish();
        assert!(
            !text.contains("<script>")
                && text.contains("a&amp;b")
                && text.contains("&lt; y\u{fffd}"),
            "{text}"
        );
    }
}
