//! What is known of thousands of photographs beside their pixels, in a few blocks: no piece of memory for each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use blake3::Hash;

use crate::geometry::Segment;
use crate::source::{Glance, Region, Truth};
use crate::texts::Texts;

/// One usable image as it was opened.
#[derive(Debug)]
pub(super) struct Photograph {
    /// Number of its folder.
    pub folder: usize,
    pub file: OsString,
    /// That of the file; with a number and a slash before it where several files have that.
    pub name: String,
    /// Of the file.
    pub pixel_hash: Hash,
    /// Of the file and its labels.
    pub hash: Hash,
    pub glance: Glance,
    /// The file lacks its end.
    pub broken_off: bool,
    /// A labelled line lies outside of it, in whole or in part.
    pub reaches_out: bool,
    /// Remarks on its labels.
    pub notes: Vec<String>,
}

/// Photographs in their order.
#[derive(Clone, Debug)]
pub(super) struct Album {
    folders: Vec<PathBuf>,
    pages: Vec<Page>,
    names: Texts,
    /// Names of files that are no UTF-8, which `names` says only nearly.
    odd: BTreeMap<usize, OsString>,
    segments: Vec<Segment>,
    regions: Vec<Region>,
    notes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Page {
    folder: usize,
    pixel_hash: Hash,
    hash: Hash,
    size: (u32, u32),
    features: [f64; 6],
    lines: Lines,
}

/// Where the true lines lie: the first, and how many.
#[derive(Clone, Copy, Debug)]
enum Lines {
    Segments(u32, u32),
    Regions(u32, u32),
}

impl Album {
    /// Of photographs in these folders.
    pub fn new(folders: Vec<PathBuf>, photographs: Vec<Photograph>) -> Self {
        let mut album = Self {
            folders,
            pages: Vec::with_capacity(photographs.len()),
            names: photographs.iter().map(|one| &one.name).collect(),
            odd: BTreeMap::new(),
            segments: Vec::new(),
            regions: Vec::new(),
            notes: Vec::new(),
        };
        for photograph in photographs {
            album.add(photograph);
        }
        album.segments.shrink_to_fit();
        album.regions.shrink_to_fit();
        album
    }

    fn add(&mut self, one: Photograph) {
        if one.file.to_str().is_none() {
            self.odd.insert(self.pages.len(), one.file);
        }
        let remark = |note| format!("{}: {note}", one.name);
        self.notes.extend(one.notes.into_iter().map(remark));
        // labelled lines in memory are far fewer than 2^32
        let span = |first: usize, count: usize| (first as u32, count as u32);
        let lines = match one.glance.truth {
            Truth::Segments(lines) => {
                let (first, count) = span(self.segments.len(), lines.len());
                self.segments.extend(lines);
                Lines::Segments(first, count)
            }
            Truth::Regions(lines) => {
                let (first, count) = span(self.regions.len(), lines.len());
                self.regions.extend(lines);
                Lines::Regions(first, count)
            }
        };
        self.pages.push(Page {
            folder: one.folder,
            pixel_hash: one.pixel_hash,
            hash: one.hash,
            size: one.glance.size,
            features: one.glance.features,
            lines,
        });
    }

    pub fn len(&self) -> usize {
        self.pages.len()
    }

    pub fn name(&self, index: usize) -> &str {
        self.names.get(index).unwrap_or_default()
    }

    pub fn path(&self, index: usize) -> PathBuf {
        let folder = &self.folders[self.pages[index].folder];
        match self.odd.get(&index) {
            Some(file) => folder.join(file),
            // what stands before a slash tells equal names apart
            None => folder.join(self.name(index).rsplit('/').next().unwrap_or_default()),
        }
    }

    pub fn pixel_hash(&self, index: usize) -> Hash {
        self.pages[index].pixel_hash
    }

    pub fn hash(&self, index: usize) -> Hash {
        self.pages[index].hash
    }

    pub fn size(&self, index: usize) -> (u32, u32) {
        self.pages[index].size
    }

    pub fn truth(&self, index: usize) -> Truth {
        match self.pages[index].lines {
            Lines::Segments(first, count) => {
                Truth::Segments(self.segments[first as usize..][..count as usize].to_vec())
            }
            Lines::Regions(first, count) => {
                Truth::Regions(self.regions[first as usize..][..count as usize].to_vec())
            }
        }
    }

    /// How many have labels that name no regions.
    pub fn without_regions(&self) -> usize {
        let dense = |page: &&Page| matches!(page.lines, Lines::Segments(..));
        self.pages.iter().filter(dense).count()
    }

    pub fn glance(&self, index: usize) -> Glance {
        Glance {
            size: self.size(index),
            features: self.pages[index].features,
            truth: self.truth(index),
        }
    }

    /// Remarks on labels, each with the name of its image.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
