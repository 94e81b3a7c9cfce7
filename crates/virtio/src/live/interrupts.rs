//! What the driver is to be told: collected by the core, delivered by the transport.

/// A reason to interrupt the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Chains of this queue were returned.
    Queue(usize),
    /// The configuration space changed.
    Config,
}

/// Interrupts that have not been delivered yet, each once.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Vec<Interrupt>);

impl Interrupts {
    /// One more.
    pub fn raise(&mut self, interrupt: Interrupt) {
        if !self.0.contains(&interrupt) {
            self.0.push(interrupt);
        }
    }

    /// Takes them all.
    #[must_use]
    pub fn take(&mut self) -> Vec<Interrupt> {
        std::mem::take(&mut self.0)
    }
}
