//! The lanes: the source says the digest of a file, and what is here is compared with it.

use std::sync::{Arc, PoisonError};

use super::files::{Answer, Known, ToCheck};
use super::links::FirstLooked;
use super::readers::Bytes;
use super::session::Looking;
use crate::digest::file::Form;
use crate::digest::leaf::{FAILED_LEAF, Payload, leaf};
use crate::error::CoreError;
use crate::fs::aspects::Aspects;
use crate::fs::stat::{Kind, Stat};
use crate::session::counters::Counter;
use crate::session::difference::{Change, Difference};
use crate::session::item::{Item, ItemClass, Side};
use crate::target::finished::RecentFrames;
use crate::target::links::Contents;
use crate::target::served::Served;
use crate::wire::channel::{Channel, malformed};
use crate::wire::check::{Check, read_checks};
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Ack, Outcome};
use crate::wire::lane::read_gone;
use crate::wire::limits::PACK_FILE;

/// What comes of comparing a file's bytes.
enum Verdict {
    Same(Form, crate::digest::Digest),
    Other,
    /// An item says why.
    Unknown,
}

impl Looking {
    /// Serves a lane until it ends. True when it brought any frame.
    pub(super) fn take_checks(&self, channel: &Arc<Channel>) -> (bool, Result<(), CoreError>) {
        let mut recent = RecentFrames::default();
        let served = self.take_frames(channel, &mut recent);
        let worked = !recent.is_empty();
        self.files.remember(recent.into_files());
        (worked, served)
    }

    fn take_frames(&self, channel: &Channel, recent: &mut RecentFrames<u64>) -> Result<(), CoreError> {
        let mut payload = Vec::new();
        let mut buffer = Vec::new();
        let mut frames = 0;
        while let Some(header) = channel.receive(&mut payload)? {
            self.life.stop.check()?;
            self.counters.add(Counter::WireBytes, u64::from(header.length));
            let answers = self.take_frame(header, &payload, &mut buffer)?;
            frames += 1;
            let excepted = (0..).zip(&answers).filter_map(|(at, (_, answer))| Some((frames, at, (*answer)?)));
            let mut out = Vec::with_capacity(32);
            Ack { frames, exceptions: excepted.collect() }.put(&mut out);
            self.files.forget(&recent.push(answers.into_iter().map(|(file, _)| file).collect()));
            channel.send(FrameType::Ack, false, &[&out])?;
        }
        Ok(())
    }

    /// The answers to a frame's files, by their file ids.
    fn take_frame(
        &self,
        header: Header,
        payload: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<(u64, Answer)>, CoreError> {
        match header.frame_type {
            FrameType::Check => {
                let checks = read_checks(payload).map_err(malformed)?;
                let answer = |check: &Check| self.answer_once(check.file, |file| self.check(file, check, buffer));
                checks.iter().map(|check| Ok((check.file, answer(check)?))).collect()
            }
            FrameType::Gone => {
                let id = read_gone(payload).map_err(malformed)?;
                self.answer_once(id, |file| self.forget(file)).map(|answer| vec![(id, answer)])
            }
            _ => Err(CoreError::protocol("The peer broke the protocol: it sends data to a session that only looks.")),
        }
    }

    /// What was answered before is answered again.
    fn answer_once(
        &self,
        id: u64,
        judge: impl FnOnce(&ToCheck) -> Result<Answer, CoreError>,
    ) -> Result<Answer, CoreError> {
        let file = match self.files.get(id)? {
            Known::Waiting(file) => file,
            Known::Answered(answer) => return Ok(answer),
        };
        let mut answered = file.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = *answered {
            return Ok(answer);
        }
        let answer = judge(&file)?;
        *answered = Some(answer);
        drop(answered);
        self.files.answered();
        Ok(answer)
    }

    fn check(&self, file: &ToCheck, check: &Check, buffer: &mut Vec<u8>) -> Result<Answer, CoreError> {
        let verdict = self.compare_bytes(file, check, buffer);
        self.life.stop.check()?;
        self.count_file(&file.stat);
        let content = Aspects::NONE.with_if(matches!(verdict, Verdict::Other), Aspects::CONTENT);
        let aspects = file.aspects.with(content);
        let change = match verdict {
            Verdict::Same(..) => Change::Attributes,
            Verdict::Other => Change::Replaced,
            Verdict::Unknown => {
                self.first_unknown(file.link)?;
                self.settle(&file.place.directory, &[(file.place.leaf, FAILED_LEAF)])?;
                return Ok(Some(Outcome::Failed));
            }
        };
        if !aspects.is_empty() {
            let (path, to) = (file.place.path(), Vec::new());
            self.tell_differences(vec![Difference { change, kind: Kind::File, aspects, path, to }]);
        }
        let first = |contents| FirstLooked {
            place: file.place.clone(),
            inode: Some(file.stat.key()),
            kind: Kind::File,
            wanted: check.attributes.clone(),
            found: file.attributes.clone(),
            contents,
            aspects,
        };
        let Verdict::Same(form, digest) = verdict else {
            self.first_looked(file.link, first(None))?;
            self.settle(&file.place.directory, &[(file.place.leaf, FAILED_LEAF)])?;
            return Ok(Some(Outcome::Differs));
        };
        self.ledger.count_compared();
        self.first_looked(file.link, first(Some(Contents::File { form, digest })))?;
        let leaf = leaf(&file.place.name, Kind::File, &file.attributes, &Payload::File { form, digest });
        self.settle(&file.place.directory, &[(file.place.leaf, leaf)])?;
        Ok(None)
    }

    fn compare_bytes(&self, file: &ToCheck, check: &Check, buffer: &mut Vec<u8>) -> Verdict {
        if check.size != file.stat.size {
            return Verdict::Other;
        }
        let again;
        let bytes = match file.bytes.get_or_init(|| self.read_file(file, Some(check.form), buffer)) {
            // Its holes are others than the source's, which is no difference.
            Bytes::Read(form, _) if *form != check.form => {
                again = self.read_file(file, Some(check.form), buffer);
                &again
            }
            bytes => bytes,
        };
        match bytes {
            Bytes::Read(form, digest) if *digest == check.digest => Verdict::Same(*form, *digest),
            Bytes::Read(..) => Verdict::Other,
            Bytes::Moved => {
                let detail = "changed on the target while it was compared";
                let path = file.place.path();
                self.tell_item(Item::said(Side::Target, ItemClass::Changed, path, "data", detail));
                Verdict::Unknown
            }
            Bytes::Failed(errno) => {
                self.unreadable(file.place.path(), "data", *errno);
                Verdict::Unknown
            }
        }
    }

    /// The source cannot read it, as an item of its own says.
    fn forget(&self, file: &ToCheck) -> Result<Answer, CoreError> {
        self.first_unknown(file.link)?;
        self.settle(&file.place.directory, &[(file.place.leaf, FAILED_LEAF)])?;
        Ok(None)
    }

    /// A file was looked at for good.
    pub(super) fn count_file(&self, stat: &Stat) {
        self.count_looked(Some(Kind::File));
        let data = if stat.size <= PACK_FILE { stat.size } else { (stat.blocks * 512).min(stat.size) };
        self.counters.add(Counter::BytesDone, data);
        self.counters.add(Counter::FilesDone, 1);
        self.ledger.count_bytes(stat.size);
    }
}
