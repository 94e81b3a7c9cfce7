//! Streams, read and written through the public interface: made by hand, cut, damaged and recorded.

#[cfg(test)]
mod builder;
#[cfg(test)]
mod command;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod description;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mapped;
#[cfg(test)]
mod ram;
#[cfg(test)]
mod sections;
#[cfg(test)]
mod write;
