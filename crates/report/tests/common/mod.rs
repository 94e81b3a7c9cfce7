//! Streams to make pages of, and pages as a browser reads them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its part, and may panic"
)]

use std::path::Path;

use html5ever::tendril::TendrilSink;
use image::Container;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use report::Reading;
use virtio::guest::Guest;
use vmstate::Error;
use vmstate::source::Source;
use vmstate::stream::Stream;

/// A stream that was read.
pub struct Read {
    container: Container,
    stream: Stream,
    guest: Guest,
    stopped: Option<Error>,
}

impl Read {
    /// A stream of the project's.
    pub fn fixture(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/{name}.mig.zst"));
        let image = image::open(path.to_str().unwrap(), &mut |_| ()).unwrap();
        Self::new(image.container, image.source.as_ref())
    }

    /// Any stream.
    pub fn new(container: Container, source: &dyn Source) -> Self {
        let scan = Stream::scan(source, &mut |_| ());
        let guest = Guest::decode(&scan.stream, source);
        Self { container, stream: scan.stream, guest, stopped: scan.stopped }
    }

    /// What was read.
    pub fn reading(&self) -> Reading<'_> {
        Reading {
            container: &self.container,
            stream: &self.stream,
            guest: &self.guest,
            stopped: self.stopped.as_ref(),
        }
    }
}

/// An element of a page.
#[derive(Clone)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    text: String,
}

impl Element {
    /// Parses a page as browsers do, and finds nothing to complain about.
    pub fn parse(html: &str) -> Self {
        let dom = html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(html);
        let errors = dom.errors.borrow();
        assert!(errors.is_empty(), "the page is not well-formed: {errors:?}");
        let children = dom.document.children.borrow();
        children.iter().find_map(Self::of).unwrap()
    }

    fn of(node: &Handle) -> Option<Self> {
        let NodeData::Element { name, attrs, .. } = &node.data else { return None };
        let attribute = |attribute: &html5ever::Attribute| {
            (attribute.name.local.to_string(), attribute.value.to_string())
        };
        Some(Self {
            name: name.local.to_string(),
            attributes: attrs.borrow().iter().map(attribute).collect(),
            children: node.children.borrow().iter().filter_map(Self::of).collect(),
            text: text(node),
        })
    }

    /// All its text.
    pub fn text(&self) -> String {
        self.text.clone()
    }

    /// An attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// This element and all below.
    pub fn all(&self) -> Vec<&Element> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(Element::all));
        all
    }

    /// All with a tag name.
    pub fn named(&self, name: &str) -> Vec<Element> {
        self.all().into_iter().filter(|element| element.name == name).cloned().collect()
    }

    /// All with a class.
    pub fn with_class(&self, class: &str) -> Vec<Element> {
        let has = |element: &&Element| {
            element
                .attribute("class")
                .is_some_and(|classes| classes.split_whitespace().any(|one| one == class))
        };
        self.all().into_iter().filter(has).cloned().collect()
    }
}

fn text(node: &Handle) -> String {
    match &node.data {
        NodeData::Text { contents } => contents.borrow().to_string(),
        _ => node.children.borrow().iter().map(text).collect(),
    }
}
