//! Streams in what they are found in: compressed, in save images of libvirt, in qcow2 images.

#[cfg(test)]
mod common;
#[cfg(test)]
mod libvirt;
#[cfg(test)]
mod packed;
#[cfg(test)]
mod packing;
#[cfg(test)]
mod qcow2;
#[cfg(test)]
mod qcow2_image;
