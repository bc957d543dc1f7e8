//! How far a voter's word goes (KIP-853's reason for directory ids): a node whose disk was emptied no longer knows what it has
//! promised and acknowledged, and static voters carry no directory id by which the others could tell.
//!
//! ```text
//! Blank -> Founder                 a majority is as blank, and nobody else has begun
//! Blank -> CatchingUp -> Member    somebody has: it learns the others' terms, and votes once it has what they had
//! ```

use std::io;

use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use ottla_planted::planted;

use super::codec::{begin, corrupt, get_u64, parse, put_u64};
use super::meta_store::{MetaKey, MetaStore};
use super::peer_codec::{HelloStanding, get_founders, put_founders};

/// What is kept of it; nothing of a store that was never blank among others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    Blank,
    /// Took part from the beginning, with those that were blank at the time.
    Founder(Vec<(BrokerId, DirectoryId)>),
    /// Does not vote until so many entries are in its log.
    CatchingUp {
        log_len: u64,
    },
    #[default]
    Member,
}

impl Standing {
    pub(super) fn load(meta: &dyn MetaStore) -> io::Result<Self> {
        let kept = meta.get(MetaKey::Standing)?;
        kept.map_or(Ok(Self::Member), |bytes| Self::read(&bytes))
    }

    pub(super) fn save(&self, meta: &dyn MetaStore) -> io::Result<()> {
        meta.save(MetaKey::Standing, &self.bytes())
    }

    pub(super) fn may_vote(&self) -> bool {
        matches!(self, Self::Founder(_) | Self::Member) || planted!("blank_voter_votes")
    }

    pub(super) fn as_told(&self) -> HelloStanding {
        match self {
            Self::Blank => HelloStanding::Blank,
            Self::CatchingUp { .. } => HelloStanding::CatchingUp,
            Self::Founder(_) | Self::Member => HelloStanding::Member,
        }
    }

    /// Later ones rank higher.
    pub(super) fn rank(&self) -> u64 {
        match self {
            Self::Blank => 0,
            Self::Founder(_) => 1,
            Self::CatchingUp { .. } => 2,
            Self::Member => 3,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = begin();
        out.i8(match self {
            Self::Blank => 0,
            Self::Founder(_) => 1,
            Self::CatchingUp { .. } => 2,
            Self::Member => 3,
        });
        match self {
            Self::Founder(founders) => put_founders(&mut out, founders),
            Self::CatchingUp { log_len } => put_u64(&mut out, *log_len),
            Self::Blank | Self::Member => {}
        }
        out.into_vec()
    }

    pub(super) fn read(bytes: &[u8]) -> io::Result<Self> {
        let kept = parse("standing", bytes, |from| {
            Ok(match from.i8()? {
                0 => Some(Self::Blank),
                1 => Some(Self::Founder(get_founders(from)?)),
                2 => Some(Self::CatchingUp { log_len: get_u64(from)? }),
                3 => Some(Self::Member),
                _ => None,
            })
        })?;
        kept.ok_or_else(|| corrupt("standing", "its kind is not known"))
    }
}
