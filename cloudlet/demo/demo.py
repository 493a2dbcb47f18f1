"""The demo's client: unmodified boto3 against the endpoint it is given.

Deploys two buckets, a role, a function with Pillow inside and a notification; uploads photographs; waits for every
thumbnail; prints a table; leaves the thumbnails and one contact sheet in a folder.
"""
import argparse
import io
import json
import pathlib
import subprocess
import sys
import time
import zipfile

import boto3
from botocore.config import Config
from PIL import Image

PHOTOS = [  # photographs that the scikit-image package carries, all free to use
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "motorcycle_left.png",
    "brick.png", "grass.png", "gravel.png", "camera.png", "coins.png", "retina.jpg",
]
ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def say(text):
    print(text, flush=True)


def pip(*args):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *args]
    subprocess.run(command, check=True)


def photographs(work, count):
    """At least `count` JPEG photographs as (name, bytes): those of the package, then the same at other sizes."""
    folder = work / "photographs"
    if not all((folder / name).exists() for name in PHOTOS):
        say("fetching photographs (the scikit-image package carries some that are free to use) …")
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.whl"):
            old.unlink()
        # Any wheel will do, whatever this interpreter is: only the pictures inside are wanted.
        any_wheel = ["--platform", "manylinux_2_17_x86_64", "--python-version", "3.12", "--only-binary", ":all:"]
        pip("download", "--no-deps", *any_wheel, "--dest", str(folder), "scikit-image==0.25.2")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            for name in PHOTOS:
                (folder / name).write_bytes(wheel.read(f"skimage/data/{name}"))
    photos = []
    for n in range(count):
        name, round_ = PHOTOS[n % len(PHOTOS)], n // len(PHOTOS)
        image = Image.open(folder / name).convert("RGB")
        if round_:
            image = image.resize((image.width * 4 // (4 + round_), image.height * 4 // (4 + round_)))
        data = io.BytesIO()
        image.save(data, "JPEG", quality=92)
        suffix = f"-{round_}" if round_ else ""
        photos.append((f"{pathlib.Path(name).stem}{suffix}.jpg", data.getvalue(), image.size))
    return photos


def package(work):
    """The function's zip, made the way a user would: pip install --target, then zip."""
    archive = work / f"function-{sys.version_info.major}.{sys.version_info.minor}.zip"
    source = work / "function" / "thumbnail.py"
    if not archive.exists() or archive.stat().st_mtime < source.stat().st_mtime:
        say("packaging the function with Pillow …")
        packages = work / "function-packages"
        pip("install", "--target", str(packages), "--upgrade", "pillow")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            out.write(source, "thumbnail.py")
            for file in sorted(packages.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    out.write(file, file.relative_to(packages))
    return archive.read_bytes()


def deploy(session, endpoint, code):
    make = lambda service: session.client(service, endpoint_url=endpoint, config=Config(retries={"max_attempts": 3}))
    s3, iam, functions = make("s3"), make("iam"), make("lambda")
    say("creating buckets photos and thumbnails, the role, the function and the notification …")
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="thumbnails")
    role = iam.create_role(RoleName="thumbnailer", AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))["Role"]["Arn"]
    iam.attach_role_policy(
        RoleName="thumbnailer", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )
    rights = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/*"},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::thumbnails/*"},
    ]
    iam.put_role_policy(
        RoleName="thumbnailer", PolicyName="photos-to-thumbnails",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
    )
    function = functions.create_function(
        FunctionName="thumbnail",
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Role=role, Handler="thumbnail.handler", Code={"ZipFile": code},
        Timeout=30, MemorySize=512, Environment={"Variables": {"THUMBNAILS": "thumbnails"}},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="thumbnail")
    functions.add_permission(
        FunctionName="thumbnail", StatementId="photos", Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::photos", SourceAccount="000000000000",
    )
    s3.put_bucket_notification_configuration(
        Bucket="photos",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": function["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    return s3, make("logs")


def upload_and_wait(s3, photos, seconds=120):
    """Uploads all photos, then waits for every thumbnail. Gives key -> (bytes, milliseconds from upload)."""
    sent, done = {}, {}
    for name, data, _ in photos:
        s3.put_object(Bucket="photos", Key=name, Body=data, ContentType="image/jpeg")
        sent[name] = time.time()
    deadline = time.time() + seconds
    while len(done) < len(photos):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="thumbnails"):
            for item in page.get("Contents", []):
                name = item["Key"]
                if name not in done:
                    seen = time.time()
                    body = s3.get_object(Bucket="thumbnails", Key=name)["Body"].read()
                    done[name] = (body, (seen - sent[name]) * 1000)
        if time.time() > deadline:
            missing = sorted(set(sent) - set(done))
            raise SystemExit(f"no thumbnail within {seconds} s of: {', '.join(missing)}")
        time.sleep(0.002)
    return done


def contact_sheet(done, out):
    columns = 4
    rows = -(-len(done) // columns)
    sheet = Image.new("RGB", (columns * 216 + 16, rows * 216 + 16), "white")
    for i, name in enumerate(sorted(done)):
        image = Image.open(io.BytesIO(done[name][0]))
        x = 16 + i % columns * 216 + (200 - image.width) // 2
        y = 16 + i // columns * 216 + (200 - image.height) // 2
        sheet.paste(image, (x, y))
    path = out / "contact-sheet.png"
    sheet.save(path)
    return path


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--endpoint", required=True)
    arguments.add_argument("--work", required=True, type=pathlib.Path)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    arguments.add_argument("--photos", type=int, default=12)
    options = arguments.parse_args()

    photos = photographs(options.work, options.photos)
    code = package(options.work)
    s3, logs = deploy(boto3.Session(), options.endpoint, code)
    say(f"uploading {len(photos)} photos …")
    done = upload_and_wait(s3, photos)

    options.out.mkdir(parents=True, exist_ok=True)
    say(f"\n{'photo':<28}{'before':>22}{'after':>20}{'ms':>8}")
    for name, data, size in photos:
        thumbnail, milliseconds = done[name]
        small = Image.open(io.BytesIO(thumbnail)).size
        (options.out / name).write_bytes(thumbnail)
        before = f"{size[0]}x{size[1]} {len(data) // 1024:>5} KiB"
        after = f"{small[0]}x{small[1]} {len(thumbnail) / 1024:>5.1f} KiB"
        say(f"{name:<28}{before:>22}{after:>20}{milliseconds:>8.0f}")
    say(f"\n{len(done)} thumbnails and {contact_sheet(done, options.out)}")


if __name__ == "__main__":
    main()
