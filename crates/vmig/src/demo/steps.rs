//! Hears the steps of the save and load procedures as the libraries tell of them.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::protocol::Step;

/// Has `heard` called with every step from now on, in this process.
pub(super) fn hear(heard: fn(Step)) {
    tracing_subscriber::registry().with(Ear { heard }).init();
}

struct Ear {
    heard: fn(Step),
}

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == virtio::PROCEDURE {
            let mut step = Step::default();
            event.record(&mut step);
            (self.heard)(step);
        }
    }
}

impl Visit for Step {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "procedure" => &mut self.procedure,
            "section" => &mut self.section,
            "layer" => &mut self.layer,
            "step" => &mut self.step,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
