//! The segments of a log. Of a closed one that was found on the disk nothing but its name is known until something of it is
//! needed: a start with very many segments looks at none of them.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ottla_model::{Now, Offset};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::segment::{Segment, segment_len};

/// By base offset; never without an active one, the last, which takes the appends.
#[derive(Debug)]
pub(super) struct Segments {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    /// When the closed ones were found.
    found: Now,
    closed: Vec<Slot>,
    active: Segment,
}

/// A closed segment, as far as it is known.
#[derive(Debug)]
struct Slot {
    base_offset: Offset,
    /// Of one that is not open.
    size: OnceLock<u32>,
    segment: OnceLock<Box<Segment>>,
}

impl Slot {
    fn found(base_offset: Offset) -> Self {
        Self { base_offset, size: OnceLock::new(), segment: OnceLock::new() }
    }

    fn opened(segment: Segment) -> Self {
        let (base_offset, size) = (segment.base_offset(), OnceLock::new());
        Self { base_offset, size, segment: OnceLock::from(Box::new(segment)) }
    }

    /// `None` while nobody has asked.
    fn known_size(&self) -> Option<u32> {
        self.segment.get().map(|segment| segment.size()).or_else(|| self.size.get().copied())
    }
}

impl Segments {
    /// `closed` were found in the directory, ascending and in front of `active`.
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        dir: &Arc<Path>,
        closed: &[Offset],
        active: Segment,
        found: Now,
    ) -> Self {
        let closed = closed.iter().copied().map(Slot::found).collect();
        Self { disk: Arc::clone(disk), dir: Arc::clone(dir), found, closed, active }
    }

    pub(super) fn len(&self) -> usize {
        self.closed.len() + 1
    }

    /// The active one's number.
    pub(super) fn last(&self) -> usize {
        self.closed.len()
    }

    pub(super) fn active(&self) -> &Segment {
        &self.active
    }

    pub(super) fn active_mut(&mut self) -> &mut Segment {
        &mut self.active
    }

    /// Base offset of segment `number`.
    pub(super) fn base(&self, number: usize) -> Option<Offset> {
        match self.closed.get(number) {
            Some(slot) => Some(slot.base_offset),
            None => (number == self.closed.len()).then(|| self.active.base_offset()),
        }
    }

    pub(super) fn first_base(&self) -> Offset {
        self.closed.first().map_or(self.active.base_offset(), |slot| slot.base_offset)
    }

    /// Base offsets, ascending.
    pub(super) fn bases(&self) -> impl Iterator<Item = Offset> + '_ {
        self.closed.iter().map(|slot| slot.base_offset).chain([self.active.base_offset()])
    }

    /// How many have a base offset for which `is_before` holds; it must hold for the first ones.
    pub(super) fn count_while(&self, is_before: impl Fn(Offset) -> bool) -> usize {
        let closed = self.closed.partition_point(|slot| is_before(slot.base_offset));
        closed + usize::from(closed == self.closed.len() && is_before(self.active.base_offset()))
    }

    /// The number of the segment that holds `offset`, or would.
    pub(super) fn number_for(&self, offset: Offset) -> usize {
        self.count_while(|base| base <= offset).saturating_sub(1)
    }

    /// The number of the segment that begins at `base_offset`.
    pub(super) fn number_of(&self, base_offset: Offset) -> Option<usize> {
        let number = self.count_while(|base| base < base_offset);
        (self.base(number) == Some(base_offset)).then_some(number)
    }

    /// Segment `number`, which is looked up on the disk if nobody has asked for it before.
    pub(super) fn get(&self, number: usize) -> Result<Option<&Segment>, StorageError> {
        match self.closed.get(number) {
            Some(slot) => self.open(slot).map(Some),
            None => Ok((number == self.closed.len()).then_some(&self.active)),
        }
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Result<Option<&mut Segment>, StorageError> {
        self.get(number)?;
        if number == self.closed.len() {
            return Ok(Some(&mut self.active));
        }
        let slot = self.closed.get_mut(number);
        Ok(slot.and_then(|slot| slot.segment.get_mut()).map(|segment| &mut **segment))
    }

    /// Segment `number` and all behind it.
    pub(super) fn starting_at(&self, number: usize) -> impl Iterator<Item = Result<&Segment, StorageError>> {
        let closed = self.closed.iter().skip(number).map(move |slot| self.open(slot));
        closed.chain((number <= self.closed.len()).then_some(Ok(&self.active)))
    }

    /// Those of which more than the name is known: no other holds a descriptor, or has something to be written.
    pub(super) fn opened(&self) -> impl Iterator<Item = &Segment> {
        let closed = self.closed.iter().filter_map(|slot| slot.segment.get().map(|segment| &**segment));
        closed.chain([&self.active])
    }

    pub(super) fn opened_mut(&mut self) -> impl Iterator<Item = &mut Segment> {
        let closed =
            self.closed.iter_mut().filter_map(|slot| slot.segment.get_mut().map(|segment| &mut **segment));
        closed.chain([&mut self.active])
    }

    fn open<'a>(&self, slot: &'a Slot) -> Result<&'a Segment, StorageError> {
        if let Some(segment) = slot.segment.get() {
            return Ok(segment);
        }
        let segment = Segment::open(&self.disk, &self.dir, slot.base_offset, self.found)?;
        Ok(slot.segment.get_or_init(|| Box::new(segment)))
    }

    /// Bytes of segment `number`, which need not be opened for that.
    pub(super) fn size(&self, number: usize) -> Result<u64, StorageError> {
        let Some(slot) = self.closed.get(number) else {
            return Ok(if number == self.closed.len() { self.active.size().into() } else { 0 });
        };
        if let Some(size) = slot.known_size() {
            return Ok(size.into());
        }
        let size = segment_len(&*self.disk, &self.dir, slot.base_offset)?;
        Ok(u64::from(*slot.size.get_or_init(|| size)))
    }

    /// Bytes of these.
    pub(super) fn sizes(&self, mut numbers: Range<usize>) -> Result<u64, StorageError> {
        numbers.try_fold(0, |sum: u64, number| Ok(sum + self.size(number)?))
    }

    /// Base offsets of those whose sizes nobody has asked for.
    pub(super) fn unsized_bases(&self) -> Vec<Offset> {
        let unknown = self.closed.iter().filter(|slot| slot.known_size().is_none());
        unknown.map(|slot| slot.base_offset).collect()
    }

    /// Closes the active segment: appends go to `next`.
    pub(super) fn roll(&mut self, next: Segment) {
        self.closed.push(Slot::opened(std::mem::replace(&mut self.active, next)));
    }

    /// Puts another segment in the place of the active one.
    pub(super) fn replace_active(&mut self, active: Segment) {
        self.active = active;
    }

    /// Leaves nothing but this one.
    pub(super) fn replace_all(&mut self, active: Segment) {
        self.closed.clear();
        self.active = active;
    }

    /// Takes the segments from `number` on out, but not the first one; gives their base offsets, ascending.
    pub(super) fn take_from(&mut self, number: usize) -> Result<Vec<Offset>, StorageError> {
        let number = number.max(1);
        if number > self.closed.len() {
            return Ok(Vec::new());
        }
        self.get(number - 1)?;
        let gone = self.bases().skip(number).collect();
        self.closed.truncate(number);
        if let Some(segment) = self.closed.pop().and_then(|slot| slot.segment.into_inner()) {
            self.active = *segment;
        }
        Ok(gone)
    }

    /// Takes the first `count` segments out, but never the active one; gives their base offsets, ascending.
    pub(super) fn take_first(&mut self, count: usize) -> Vec<Offset> {
        self.closed.drain(..count.min(self.closed.len())).map(|slot| slot.base_offset).collect()
    }

    /// Puts one in the place of several closed ones.
    pub(super) fn replace(&mut self, closed: Range<usize>, by: Segment) {
        self.closed.splice(closed, [Slot::opened(by)]);
    }
}
