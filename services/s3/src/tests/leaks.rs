//! Whatever was done, once everything is deleted nothing is left: no record and no file.

use super::*;
use crate::annotations::Annotation;
use crate::state::{Layout, Object, Part, Small, Upload, Version};
use cloudlet_store::{KeyRange, Record};
use std::time::{Duration, Instant};

/// In the record, beside it, in a file.
const SIZES: [usize; 3] = [10, 20_000, 60_000];

impl World {
    fn rows<T: Record>(&self) -> usize {
        self.store.table::<T>().scan(KeyRange::all(), false).count()
    }

    fn files(&self) -> usize {
        let folders = std::fs::read_dir(self.store.dir().join("blobs")).into_iter().flatten().flatten();
        folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten()).count()
    }

    async fn begin(&self, key: &str) -> String {
        let input =
            api::CreateMultipartUploadInput { bucket: "kept".into(), key: key.into(), ..Default::default() };
        self.call::<op::CreateMultipartUpload>(input).await.unwrap().upload_id.unwrap()
    }

    async fn part(&self, key: &str, upload: &str, number: i32, size: usize) -> api::CompletedPart {
        let input = api::UploadPartInput {
            bucket: "kept".into(),
            key: key.into(),
            upload_id: upload.into(),
            part_number: number,
            body: ByteStream::from(Bytes::from(bytes(size))),
            ..Default::default()
        };
        let e_tag = self.call::<op::UploadPart>(input).await.unwrap().e_tag;
        api::CompletedPart { e_tag, part_number: Some(number), ..Default::default() }
    }

    async fn complete(&self, key: &str, upload: &str, parts: Vec<api::CompletedPart>) -> Result<(), Error> {
        let input = api::CompleteMultipartUploadInput {
            bucket: "kept".into(),
            key: key.into(),
            upload_id: upload.into(),
            multipart_upload: Some(api::CompletedMultipartUpload { parts: Some(parts) }),
            ..Default::default()
        };
        self.call::<op::CompleteMultipartUpload>(input).await.map(drop)
    }

    async fn copy(&self, from: &str, to: &str) {
        let input = api::CopyObjectInput {
            bucket: "kept".into(),
            key: to.into(),
            copy_source: format!("kept/{from}"),
            metadata_directive: Some("REPLACE".into()),
            ..Default::default()
        };
        self.call::<op::CopyObject>(input).await.unwrap();
    }

    async fn annotate(&self, key: &str, size: usize) {
        let input = api::PutObjectAnnotationInput {
            bucket: "kept".into(),
            key: key.into(),
            annotation_name: "note".into(),
            annotation_payload: ByteStream::from(Bytes::from(vec![b'a'; size])),
            ..Default::default()
        };
        self.call::<op::PutObjectAnnotation>(input).await.unwrap();
    }

    /// Objects of every size and origin, written over each other, and uploads in every state.
    async fn busy(&self) {
        for size in SIZES {
            for (key, other) in [("a", "b"), ("b", "c")] {
                self.put("kept", key, bytes(size)).await;
                self.annotate(key, size).await;
                self.annotate(key, size + 1).await;
                self.copy(key, other).await;
                self.copy(key, key).await;
            }
            let refused =
                api::PutObjectInput { if_none_match: Some("*".into()), ..put("kept", "a", bytes(size)) };
            assert_eq!(code(self.call::<op::PutObject>(refused).await), "PreconditionFailed");
            let upload = self.begin("m").await;
            self.part("m", &upload, 1, 5 << 20).await;
            let first = self.part("m", &upload, 1, 5 << 20).await;
            self.part("m", &upload, 3, size).await;
            let last = self.part("m", &upload, 2, size).await;
            let wrong = api::CompletedPart { e_tag: Some("x".into()), ..last.clone() };
            assert_eq!(code(self.complete("m", &upload, vec![first.clone(), wrong]).await), "InvalidPart");
            self.complete("m", &upload, vec![first, last]).await.unwrap();
            self.copy("m", "mm").await;
            let upload = self.begin("aborted").await;
            self.part("aborted", &upload, 1, size).await;
            let input = api::AbortMultipartUploadInput {
                bucket: "kept".into(),
                key: "aborted".into(),
                upload_id: upload,
                ..Default::default()
            };
            self.call::<op::AbortMultipartUpload>(input).await.unwrap();
        }
    }

    /// Deletes every version there is, in batches.
    async fn clear(&self) {
        loop {
            let input = api::ListObjectVersionsInput {
                bucket: "kept".into(),
                max_keys: Some(7),
                ..Default::default()
            };
            let listed = self.call::<op::ListObjectVersions>(input).await.unwrap();
            let versions = listed.versions.into_iter().flatten().map(|v| (v.key, v.version_id));
            let markers = listed.delete_markers.into_iter().flatten().map(|m| (m.key, m.version_id));
            let objects: Vec<_> = versions
                .chain(markers)
                .map(|(key, version_id)| api::ObjectIdentifier {
                    key: key.unwrap(),
                    version_id,
                    ..Default::default()
                })
                .collect();
            if objects.is_empty() {
                return;
            }
            let input = api::DeleteObjectsInput {
                bucket: "kept".into(),
                delete: api::Delete { objects, ..Default::default() },
                ..Default::default()
            };
            let deleted = self.call::<op::DeleteObjects>(input).await.unwrap();
            assert!(deleted.errors.is_none_or(|errors| errors.is_empty()));
        }
    }

    fn left(&self) -> [usize; 7] {
        [
            self.rows::<Object>(),
            self.rows::<Version>(),
            self.rows::<Small>(),
            self.rows::<Layout>(),
            self.rows::<Part>() + self.rows::<Upload>(),
            self.rows::<Annotation>(),
            self.files(),
        ]
    }
}

#[tokio::test]
async fn nothing_is_left() {
    for status in ["", "Enabled", "Suspended"] {
        let world = World::with_bucket("kept").await;
        if !status.is_empty() {
            world.busy().await;
            let configuration =
                api::VersioningConfiguration { status: Some(status.into()), ..Default::default() };
            let input = api::PutBucketVersioningInput {
                bucket: "kept".into(),
                versioning_configuration: configuration,
                ..Default::default()
            };
            world.call::<op::PutBucketVersioning>(input).await.unwrap();
        }
        world.busy().await;
        assert!(world.left().iter().filter(|n| **n > 0).count() >= 4, "{:?}", world.left());
        let checked = crate::verify(&world.store, None).await.unwrap();
        assert!(checked.damaged.is_empty(), "{:?}", checked.damaged);
        world.clear().await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while world.files() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.left(), [0; 7], "versioning {status}");
    }
}
