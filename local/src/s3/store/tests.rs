use super::*;

fn world(dir: &Path) -> Arc<World> {
    Arc::new(World::new(dir.to_owned(), "eu-west-1", 1))
}

fn info(bytes: &[u8]) -> ObjectInfo {
    ObjectInfo {
        size: u64::try_from(bytes.len()).unwrap(),
        etag: super::super::checksum::md5_hex(bytes),
        ..ObjectInfo::default()
    }
}

fn put(bucket: &Bucket, key: &str, bytes: &[u8], condition: &WriteCondition) -> Outcome<Version> {
    bucket.put(key, bytes, info(bytes), condition)
}

fn get(bucket: &Bucket, key: &str, version: Option<&str>) -> Outcome<Vec<u8>> {
    let (_, mut file) = bucket.find(key, version)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    Ok(bytes)
}

fn open(dir: &Path, versioning: Versioning) -> (Store, Arc<Bucket>) {
    let store = Store::open(&world(dir)).unwrap();
    store.create("demo", &world(dir)).unwrap();
    let bucket = store.bucket("demo").unwrap();
    bucket.set_versioning(versioning).unwrap();
    (store, bucket)
}

fn files(dir: &Path) -> usize {
    let mut count = 0;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { count += 1 }
        }
    }
    count
}

#[test]
fn sixty_racers_for_one_key_have_one_winner() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, bucket) = open(dir.path(), Versioning::Enabled);
    let race = |condition: &WriteCondition| {
        let gate = std::sync::Barrier::new(60);
        let wins = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for racer in 0..60 {
                let (bucket, gate, wins) = (&bucket, &gate, &wins);
                scope.spawn(move || {
                    gate.wait();
                    match put(bucket, "claim", format!("{condition:?} {racer}").as_bytes(), condition) {
                        Ok(_) => {
                            wins.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(refused) => assert_eq!(refused.status, 412),
                    }
                });
            }
        });
        wins.into_inner()
    };
    assert_eq!(race(&WriteCondition::Absent), 1);
    let (first, _) = bucket.find("claim", None).unwrap();
    assert_eq!(race(&WriteCondition::Is(first.object.unwrap().etag)), 1);
    assert_eq!(bucket.read(|keys| keys["claim"].len()), 2);
    assert_eq!(files(&dir.path().join("buckets/demo/incoming")), 0, "the losers' bytes are gone");
}

#[test]
fn all_versions_are_there_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, bucket) = open(dir.path(), Versioning::Enabled);
    let first = put(&bucket, "k", b"one", &WriteCondition::Always).unwrap();
    let second = put(&bucket, "k", b"two", &WriteCondition::Always).unwrap();
    let marker = bucket.delete("k", None, &WriteCondition::Always).unwrap();
    assert!(marker.marker);

    let again = Store::open(&world(dir.path())).unwrap();
    let bucket = again.bucket("demo").unwrap();
    assert_eq!(bucket.versioning(), Versioning::Enabled);
    assert_eq!(get(&bucket, "k", None).unwrap_err().code, "NoSuchKey");
    assert_eq!(get(&bucket, "k", Some(&first.id)).unwrap(), b"one");
    assert_eq!(get(&bucket, "k", Some(&second.id)).unwrap(), b"two");
    assert_eq!(get(&bucket, "k", marker.version.as_deref()).unwrap_err().status, 405);
    // The same seed draws the same ids again: a new version must still have one of its own.
    let third = put(&bucket, "k", b"three", &WriteCondition::Absent).unwrap();
    let mut ids: Vec<String> = bucket.read(|keys| keys["k"].iter().map(|version| version.id.clone()).collect());
    assert_eq!(ids.first(), Some(&third.id));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    // Removing the newest and the marker brings the second back.
    bucket.delete("k", Some(&third.id), &WriteCondition::Always).unwrap();
    assert!(bucket.delete("k", marker.version.as_deref(), &WriteCondition::Always).unwrap().marker);
    assert_eq!(get(&bucket, "k", None).unwrap(), b"two");
}

#[test]
fn what_a_killed_process_left_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, bucket) = open(dir.path(), Versioning::Off);
    let old = put(&bucket, "k", b"old", &WriteCondition::Always).unwrap();
    let folder = bucket.folder("k");
    let kept = fs::read(folder.join(format!("{}.json", old.sequence))).unwrap();
    let new = put(&bucket, "k", b"new!", &WriteCondition::Always).unwrap();
    // Killed after the new version was committed and before the old one was removed.
    fs::write(folder.join(format!("{}.json", old.sequence)), kept).unwrap();
    fs::write(folder.join(format!("{}.data", old.sequence)), b"old").unwrap();
    // Killed before the JSON came.
    fs::write(folder.join("99.data"), b"half").unwrap();
    fs::write(bucket.dir.join("incoming/7"), b"ha").unwrap();
    fs::create_dir_all(dir.path().join("buckets/.new-other")).unwrap();

    let again = Store::open(&world(dir.path())).unwrap();
    let bucket = again.bucket("demo").unwrap();
    assert_eq!(get(&bucket, "k", None).unwrap(), b"new!");
    assert_eq!(bucket.read(|keys| keys["k"].clone()), [new]);
    assert_eq!(files(&dir.path().join("buckets")), 3, "bucket.json and the two files of one version");
    assert_eq!(again.bucket("other").unwrap_err().code, "NoSuchBucket");
}

#[test]
fn data_that_somebody_cut_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, bucket) = open(dir.path(), Versioning::Off);
    let version = put(&bucket, "k", b"whole", &WriteCondition::Always).unwrap();
    fs::write(bucket.folder("k").join(format!("{}.data", version.sequence)), b"ha").unwrap();
    let error = Store::open(&world(dir.path())).unwrap_err();
    assert!(error.to_string().contains("move"), "{error}");
}

#[test]
fn any_key_is_a_key_of_its_own_and_stays_inside_the_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, bucket) = open(dir.path(), Versioning::Off);
    let long = "ü".repeat(512);
    let keys = ["a", "A", "a/b", "a/", "/a", "a//b", "..", "../../x", ".", "a\nb", "a_b", "con", long.as_str()];
    for key in keys {
        put(&bucket, key, key.as_bytes(), &WriteCondition::Absent).unwrap();
    }
    assert_eq!(files(dir.path()), 1 + 2 * keys.len());
    let again = Store::open(&world(dir.path())).unwrap();
    let bucket = again.bucket("demo").unwrap();
    for key in keys {
        assert_eq!(get(&bucket, key, None).unwrap(), key.as_bytes());
        bucket.delete(key, None, &WriteCondition::Always).unwrap();
    }
    assert_eq!(files(dir.path()), 1);
    again.delete("demo").unwrap();
    assert_eq!(put(&bucket, "late", b"", &WriteCondition::Always).unwrap_err().code, "NoSuchBucket");
}

#[test]
fn suspended_versioning_replaces_only_the_null_version() {
    let dir = tempfile::tempdir().unwrap();
    let (store, bucket) = open(dir.path(), Versioning::Enabled);
    let kept = put(&bucket, "k", b"kept", &WriteCondition::Always).unwrap();
    bucket.set_versioning(Versioning::Suspended).unwrap();
    put(&bucket, "k", b"null 1", &WriteCondition::Always).unwrap();
    put(&bucket, "k", b"null 2", &WriteCondition::Always).unwrap();
    assert_eq!(bucket.read(|keys| keys["k"].len()), 2);
    let deleted = bucket.delete("k", None, &WriteCondition::Always).unwrap();
    assert_eq!((deleted.version.as_deref(), deleted.marker), (Some(NULL), true));
    assert_eq!(bucket.read(|keys| keys["k"].len()), 2);
    assert_eq!(get(&bucket, "k", Some(&kept.id)).unwrap(), b"kept");
    assert_eq!(store.delete("demo").unwrap_err().code, "BucketNotEmpty");
}

#[test]
fn a_bucket_name_must_be_one_that_aws_would_take() {
    for name in ["demo", "a.b-c", "signalbox-111122223333"] {
        check_bucket_name(name).unwrap();
    }
    for name in ["ab", "Demo", "-demo", "a..b", "127.0.0.1", "..", "a/b", ".new-x", &"a".repeat(64), "demo-s3alias"] {
        assert_eq!(check_bucket_name(name).unwrap_err().code, "InvalidBucketName", "{name}");
    }
}

#[test]
fn an_object_that_cannot_be_written_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, bucket) = open(dir.path(), Versioning::Enabled);
    put(&bucket, "key", b"first", &WriteCondition::Always).unwrap();
    let objects: Vec<PathBuf> =
        fs::read_dir(bucket.dir.join("objects")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let next = bucket.state.lock().unwrap().next;
    fs::create_dir(objects[0].join(format!("{next}.json"))).unwrap();
    let before = files(dir.path());
    let refused = put(&bucket, "key", b"second", &WriteCondition::Always).unwrap_err();
    assert_eq!(refused.status, 500);
    assert_eq!(files(dir.path()), before);
    assert_eq!(get(&bucket, "key", None).unwrap(), b"first");
}
