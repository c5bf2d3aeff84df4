//! Many names at once: each has the answer it would have alone, in its place.

use std::fs as plain;

use annulet::fs;

use super::tree::{names, scratch, tree};
use super::{facts, fds, fds_are_back_to, on_each_driver, outcome};

#[test]
fn many_looks_give_what_each_would_give() {
    on_each_driver(async || {
        let folder = tree();
        // Several jobs, the last not full.
        let paths = (0..37)
            .flat_map(|_| names())
            .map(|name| folder.path().join(name));
        let paths: Vec<_> = paths.collect();
        let looked = fs::stat_many(&paths).await?;
        let read = fs::read_many(&paths).await?;
        assert_eq!((looked.len(), read.len()), (paths.len(), paths.len()));
        for ((path, looked), read) in paths.iter().zip(looked).zip(read) {
            let alone = fs::metadata(path).await;
            let told = |result: Result<fs::Metadata, _>| {
                outcome(result.map(|it| format!("{:?}", facts(&it))))
            };
            assert_eq!(told(looked), told(alone), "{path:?}");
            // A directory is refused before it is read.
            if !path.is_dir() {
                assert_eq!(outcome(read), outcome(plain::read(path)), "{path:?}");
            }
        }
        assert!(fs::stat_many(Vec::<String>::new()).await?.is_empty());
        Ok(())
    });
}

#[test]
fn ten_thousand_files_are_read_with_few_open_at_once() {
    on_each_driver(async || {
        let folder = scratch();
        let paths: Vec<_> = (0..10_000)
            .map(|n| folder.path().join(format!("{n}")))
            .collect();
        for path in &paths {
            plain::write(path, path.as_os_str().as_encoded_bytes())?;
        }
        let before = fds::open_fds();
        let read = fs::read_many(&paths).await?;
        for (path, read) in paths.iter().zip(read) {
            assert_eq!(read?, path.as_os_str().as_encoded_bytes());
        }
        fds_are_back_to(before).await;
        fs::remove_dir_all(folder.path()).await
    });
}
