//! Finds libvarlstm: in the folder VARLSTM_LIB_DIR, else by pkg-config, else in the source tree's build/lib.
// SPDX-License-Identifier: Apache-2.0

use std::env;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=VARLSTM_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    match find_library() {
        Ok(folders) => {
            for folder in folders {
                println!("cargo:rustc-link-search=native={}", folder.display());
            }
            println!("cargo:rustc-link-lib=dylib=varlstm");
        }
        Err(text) => {
            eprintln!("libvarlstm was not found: {}", text);
            process::exit(1);
        }
    }
}

/// The folders for the linker; none if the library is in one of the system's own.
fn find_library() -> Result<Vec<PathBuf>, String> {
    if let Some(folder) = env::var_os("VARLSTM_LIB_DIR") {
        let folder = PathBuf::from(folder);
        return if has_library(&folder) {
            Ok(vec![folder])
        } else {
            Err(format!("VARLSTM_LIB_DIR = {} holds no libvarlstm.so", folder.display()))
        };
    }
    let not_by_pkg_config = match ask_pkg_config() {
        Ok(folders) => return Ok(folders),
        Err(text) => text,
    };
    let manifest = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let built = Path::new(&manifest).join("../../../build/lib");
    if has_library(&built) {
        return Ok(vec![built]);
    }
    Err(format!("VARLSTM_LIB_DIR is not set; {}; {} holds no libvarlstm.so", not_by_pkg_config, built.display()))
}

fn has_library(folder: &Path) -> bool {
    ["libvarlstm.so", "libvarlstm.dylib"].iter().any(|name| folder.join(name).exists())
}

/// Version 0.x may change between minor versions, so that the library's must be this crate's.
fn ask_pkg_config() -> Result<Vec<PathBuf>, String> {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    let next: u32 = minor.parse::<u32>().expect("cargo sets numbers") + 1;
    let at_least = format!("varlstm >= {}.{}", major, minor);
    let below = format!("varlstm < {}.{}", major, next);
    let output = Command::new("pkg-config")
        .args(["--print-errors", "--libs-only-L", &at_least, &below])
        .output()
        .map_err(|error| format!("pkg-config does not run ({})", error))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("pkg-config says «{}»", text.lines().next().unwrap_or("").trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().filter_map(|word| word.strip_prefix("-L")).map(PathBuf::from).collect())
}
