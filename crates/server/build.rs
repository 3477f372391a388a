//! Packs the built pages (`apps/web/dist`, `apps/console/dist`) into the binary: each file as it is, and
//! compressed ahead of time, so that the server never compresses on a request. The list has no files of a
//! page that was not built, and the server says so.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

/// The pages: the folder of each in `apps`, and the path below which the server has its files.
const PAGES: [(&str, &str); 2] = [("web", ""), ("console", "/console")];
/// Files of these kinds shrink; the others (images, fonts) are compressed already.
const COMPRESSIBLE: [&str; 7] = ["html", "js", "css", "svg", "json", "txt", "map"];
/// Below this a compressed answer saves no packet.
const COMPRESS_FROM: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut list = String::from("&[\n");
    for (app, prefix) in PAGES {
        list.push_str(&page(app, prefix, &out)?);
    }
    list.push_str("]\n");
    fs::write(out.join("pages.rs"), list)?;
    Ok(())
}

/// Packs the files of one page into `out` and gives the Rust text of their entries.
fn page(app: &str, prefix: &str, out: &Path) -> Result<String, Box<dyn Error>> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(format!("../../apps/{app}/dist"));
    // Cargo takes a watched path that is missing as changed, each time. Where the folder can't be made,
    // that costs only time.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    let mut entries = String::new();
    for (index, file) in files.iter().enumerate() {
        let name = file
            .strip_prefix(&dist)?
            .to_str()
            .ok_or("a file of a page has a name that is not UTF-8")?;
        entries.push_str(&pack(
            &format!("{prefix}/{name}"),
            &fs::read(file)?,
            &out.join(format!("{app}-{index}")),
        )?);
    }
    Ok(entries)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes one file in its encodings beside `stem` and gives the Rust text of its entry.
fn pack(path: &str, bytes: &[u8], stem: &Path) -> Result<String, Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    let mut entry = String::new();
    write!(
        entry,
        "    File {{ path: {path:?}, hash: \"{:016x}\", identity: {}",
        hasher.finish(),
        put(stem, "plain", bytes)?
    )?;
    let extension = path.rsplit('.').next().unwrap_or_default();
    let compressible = bytes.len() >= COMPRESS_FROM && COMPRESSIBLE.contains(&extension);
    for (name, encoded) in [("gzip", gzip(bytes)?), ("brotli", brotli(bytes)?)] {
        if compressible && encoded.len() < bytes.len() {
            write!(entry, ", {name}: Some({})", put(stem, name, &encoded)?)?;
        } else {
            write!(entry, ", {name}: None")?;
        }
    }
    entry.push_str(" },\n");
    Ok(entry)
}

fn put(stem: &Path, extension: &str, bytes: &[u8]) -> Result<String, Box<dyn Error>> {
    let path = stem.with_extension(extension);
    fs::write(&path, bytes)?;
    Ok(format!(
        "include_bytes!({:?})",
        path.to_str().ok_or("the build folder's path is not UTF-8")?
    ))
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn brotli(mut bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoded = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: 9,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut bytes, &mut encoded, &params)?;
    Ok(encoded)
}
