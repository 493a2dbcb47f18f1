//! Functions that are container images, and images that mean harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cloudlet_compute::*;
use common::*;
use serde_json::json as object;
use sha2::{Digest, Sha256};

/// A custom runtime in nothing but bash: the HTTP of the Runtime API by hand.
const RUNTIME: &str = r#"#!/bin/bash
api=/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\/}
while :; do
  exec 5<>$api
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >&5
  length=0
  while IFS= read -r line <&5; do
    line=${line%$'\r'}
    [ -z "$line" ] && break
    case "${line,,}" in
      lambda-runtime-aws-request-id:*) id=${line#*: } ;;
      content-length:*) length=${line#*: } ;;
    esac
  done
  IFS= read -r -N "$length" body <&5
  exec 5>&-
  echo "handling $body"
  files=$(echo /gone/* /kept/* /folder/*)
  touch /written 2>/dev/null && files="$files writable"
  answer="{\"got\":$body,\"args\":\"$*\",\"handler\":\"$_HANDLER\",\"cwd\":\"$PWD\",\"own\":\"$FROM_IMAGE\",\"set\":\"$SET\",\"files\":\"$files\",\"tmp\":\"$(echo > /tmp/x && echo writable)\",\"root\":\"$(echo /*)\"}"
  exec 5<>$api
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$id" "${#answer}" "$answer" >&5
  while read -r line <&5; do :; done
  exec 5>&-
done
"#;

enum File<'a> {
    Text(&'a str, &'a str),
    Program(&'a str, Vec<u8>),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Folder(&'a str),
}

fn layer(files: &[File<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        let mut put = |name: &str, mode: u32, kind: tar::EntryType, target: Option<&str>, bytes: &[u8]| {
            header.set_mode(mode);
            header.set_size(bytes.len() as u64);
            header.set_entry_type(kind);
            // As they stand, however malicious: the builder itself would refuse some.
            let field = &mut header.as_old_mut().name;
            field.fill(0);
            field[..name.len()].copy_from_slice(name.as_bytes());
            if let Some(target) = target {
                header.set_link_name_literal(target).unwrap();
            }
            header.set_cksum();
            tar.append(&header, bytes).unwrap();
        };
        match file {
            File::Text(name, text) => put(name, 0o600, tar::EntryType::Regular, None, text.as_bytes()),
            File::Program(name, bytes) => put(name, 0o4755, tar::EntryType::Regular, None, bytes),
            File::Link(name, target) => put(name, 0o777, tar::EntryType::Symlink, Some(target), b""),
            File::Hard(name, target) => put(name, 0o644, tar::EntryType::Link, Some(target), b""),
            File::Folder(name) => put(name, 0o700, tar::EntryType::Directory, None, b""),
        }
    }
    tar.into_inner().unwrap()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap()
}

/// bash and what it needs.
fn bash() -> Vec<u8> {
    let listed = Command::new("ldd").arg("/bin/bash").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut names: Vec<String> =
        listed.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect();
    names.extend(["/bin/bash", "/usr/bin/touch"].map(str::to_owned));
    let names: Vec<_> = names.iter().map(|name| name.trim_start_matches('/')).collect();
    let files: Vec<_> =
        names.iter().map(|name| File::Program(name, std::fs::read(format!("/{name}")).unwrap())).collect();
    layer(&files)
}

fn blob(root: &Path, bytes: &[u8]) -> serde_json::Value {
    let hash = hex::encode(Sha256::digest(bytes));
    let folder = root.join("blobs/sha256");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&hash), bytes).unwrap();
    object!({"digest": format!("sha256:{hash}"), "size": bytes.len(), "mediaType": "application/octet-stream"})
}

/// An OCI image layout.
fn image(lab: &Lab, name: &str, config: serde_json::Value, layers: &[Vec<u8>]) -> PathBuf {
    let root = lab.state().join(name);
    let config = object!({"architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux", "config": config});
    let config = blob(&root, config.to_string().as_bytes());
    let layers: Vec<_> = layers.iter().map(|layer| blob(&root, layer)).collect();
    let manifest = object!({"schemaVersion": 2, "config": config, "layers": layers});
    let mut manifest = blob(&root, manifest.to_string().as_bytes());
    manifest["annotations"] = object!({"org.opencontainers.image.ref.name": "latest"});
    let index = object!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(root.join("index.json"), index.to_string()).unwrap();
    std::fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    root
}

fn function(lab: &Lab, image: ImageSpec) -> FunctionSpec {
    let mut spec = lab.python("");
    spec.runtime = String::new();
    spec.handler = String::new();
    spec.image = Some(image);
    spec
}

fn own_image(lab: &Lab) -> PathBuf {
    let config = object!({
        "Entrypoint": ["runtime.sh"], "Cmd": ["app.handler", "more"], "WorkingDir": "/folder",
        "Env": ["PATH=/bin:/app", "FROM_IMAGE=yes", "SET=by the image"],
    });
    let below = [
        File::Program("app/runtime.sh", RUNTIME.as_bytes().to_vec()),
        File::Text("gone/a", "a"),
        File::Text("kept/b", "b"),
        File::Text("folder/old", "old"),
        File::Folder("proc"),
    ];
    let above = [
        File::Text("gone/.wh.a", ""),
        File::Text("gone/new", "new"),
        File::Text("folder/.wh..wh..opq", ""),
        File::Text("folder/young", "young"),
        File::Hard("kept/c", "kept/b"),
    ];
    image(lab, "own", config, &[bash(), zipped(&layer(&below)), zipped(&layer(&above))])
}

#[tokio::test]
async fn an_image_runs_with_its_own_programs() {
    let lab = lab();
    let path = own_image(&lab);
    let mut spec = function(&lab, ImageSpec { path: path.clone(), ..ImageSpec::default() });
    spec.env.insert("SET".into(), "by the function".into());
    let spec = Arc::new(spec);
    lab.compute.prepare(spec.clone()).await.unwrap();
    let first = lab.call(&spec, "[1]").await;
    assert_eq!(first.function_error, None, "{} {:?}", text(&first), lab.logs.all());
    let said = json(&first);
    assert_eq!(said["got"], object!([1]));
    assert_eq!((&said["args"], &said["handler"]), (&object!("app.handler more"), &object!("app.handler")));
    assert_eq!(
        (&said["cwd"], &said["own"], &said["set"]),
        (&object!("/folder"), &object!("yes"), &object!("by the function"))
    );
    // A later layer took some away; the root cannot be written, /tmp can.
    assert_eq!(said["files"], "/gone/new /kept/b /kept/c /folder/young");
    assert_eq!(said["tmp"], "writable");
    assert!(!said["root"].as_str().unwrap().contains("home"), "nothing of the host: {said}");
    assert_eq!(lab.call(&spec, "2").await.sandbox, first.sandbox);

    let own = ImageSpec {
        path: path.clone(),
        tag: Some("latest".into()),
        entry_point: Some(vec!["/bin/bash".into(), "/app/runtime.sh".into()]),
        command: Some(vec!["other.handler".into()]),
        working_directory: Some("/kept".into()),
    };
    let said = json(&lab.call(&Arc::new(function(&lab, own)), "1").await);
    assert_eq!(
        (&said["args"], &said["handler"], &said["cwd"]),
        (&object!("other.handler"), &object!("other.handler"), &object!("/kept"))
    );

    let lost = ImageSpec { path, entry_point: Some(vec!["/not/there".into()]), ..ImageSpec::default() };
    let result = lab.call(&Arc::new(function(&lab, lost)), "1").await;
    assert_eq!(json(&result)["errorType"], "Runtime.InvalidEntrypoint");
    assert!(text(&result).contains("fork/exec /not/there: no such file or directory"), "{}", text(&result));
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn an_archive_is_as_good_as_a_folder() {
    let lab = lab();
    let folder = own_image(&lab);
    let archive = lab.state().join("image.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", &folder).unwrap();
    tar.finish().unwrap();
    let spec = function(&lab, ImageSpec { path: archive, ..ImageSpec::default() });
    let result = lab.call(&Arc::new(spec), "1").await;
    assert_eq!(json(&result)["own"], "yes", "{}", text(&result));

    // As docker wrote them before it wrote image layouts.
    let old = lab.state().join("old.tar");
    let config = object!({"architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "config": {"Cmd": ["/bin/bash", "/app/runtime.sh"], "Env": ["FROM_IMAGE=old"]}});
    let manifest =
        object!([{"Config": "c.json", "RepoTags": ["fn:v1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let two = layer(&[File::Program("app/runtime.sh", RUNTIME.as_bytes().to_vec())]);
    let mut tar = tar::Builder::new(std::fs::File::create(&old).unwrap());
    for (name, bytes) in [
        ("c.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
        ("1/layer.tar", bash()),
        ("2/layer.tar", two),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.finish().unwrap();
    let spec =
        function(&lab, ImageSpec { path: old.clone(), tag: Some("v1".into()), ..ImageSpec::default() });
    let result = lab.call(&Arc::new(spec), "1").await;
    assert_eq!(json(&result)["own"], "old", "{}", text(&result));
    let spec = function(&lab, ImageSpec { path: old, tag: Some("v2".into()), ..ImageSpec::default() });
    let refused = lab.compute.prepare(Arc::new(spec)).await.unwrap_err().to_string();
    assert!(refused.contains("no tag \"v2\"; it has fn:v1"), "{refused}");
    lab.compute.shutdown().await;
}

#[tokio::test]
async fn ways_out_of_an_image_are_closed() {
    let lab = lab();
    let outside = lab.state().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "precious").unwrap();
    let out = outside.to_string_lossy().into_owned();
    let precious = format!("{out}/precious");
    let up = format!("../../../../../../../../../..{out}/evil");
    let cases: [(&str, Vec<File<'_>>, bool); 6] = [
        ("climbs", vec![File::Text(&up, "evil")], false),
        ("a link in front", vec![File::Link("way", &out), File::Text("way/evil", "evil")], true),
        (
            "a climbing link",
            vec![File::Link("way", "../../../../../.."), File::Text("way/evil", "evil")],
            true,
        ),
        (
            "a link below a folder",
            vec![File::Folder("a"), File::Link("a/way", &out), File::Text("a/way/evil", "x")],
            true,
        ),
        (
            "takes away through a link",
            vec![File::Link("way", &out), File::Text("way/.wh.precious", "")],
            true,
        ),
        ("a hard link to the outside", vec![File::Hard("stolen", &precious)], false),
    ];
    for (n, (what, files, fine)) in cases.into_iter().enumerate() {
        let path = image(&lab, &format!("evil{n}"), object!({"Cmd": ["/x"]}), &[layer(&files)]);
        let made =
            lab.compute.prepare(Arc::new(function(&lab, ImageSpec { path, ..ImageSpec::default() }))).await;
        assert_eq!(made.is_ok(), fine, "{what}: {made:?}");
        assert!(!outside.join("evil").exists(), "{what}");
        assert_eq!(std::fs::read_to_string(outside.join("precious")).unwrap(), "precious", "{what}");
    }
    for (what, bytes) in
        [("nothing", &b""[..]), ("text", b"hello"), ("half a gzip", &zipped(&bash())[..1000])]
    {
        let path = image(&lab, what, object!({}), &[bytes.to_vec()]);
        let made =
            lab.compute.prepare(Arc::new(function(&lab, ImageSpec { path, ..ImageSpec::default() }))).await;
        assert!(made.is_ok() == (what == "nothing"), "{what}: {made:?}");
    }
    let missing = ImageSpec { path: "/not/there".into(), ..ImageSpec::default() };
    let refused = lab.compute.prepare(Arc::new(function(&lab, missing))).await.unwrap_err().to_string();
    assert!(refused.contains("there is no image at /not/there"), "{refused}");
    lab.compute.shutdown().await;
}

/// `provided.al2023` with a bootstrap that is a shell script, as AWS's tutorial has it.
#[tokio::test]
async fn a_shell_script_is_a_runtime() {
    let lab = lab();
    let spec = lab.package("provided.al2023", "f.h", &[("bootstrap", RUNTIME.as_bytes(), 0o755)]);
    let result = lab.call(&Arc::new(spec), "{\"a\":1}").await;
    assert_eq!(
        (&json(&result)["got"]["a"], &json(&result)["handler"]),
        (&object!(1), &object!("f.h")),
        "{}",
        text(&result)
    );
    assert_eq!(json(&result)["cwd"], "/var/task");
    assert!(lab.logs.has("handling {\"a\":1}"));
    lab.compute.shutdown().await;
}
