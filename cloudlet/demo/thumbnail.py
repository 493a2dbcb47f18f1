"""The function: a photo has arrived in a bucket; its thumbnail goes to another."""
import io
import os
import urllib.parse

import boto3
from PIL import Image

s3 = boto3.client("s3")


def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        photo = Image.open(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        photo.thumbnail((200, 200))
        thumbnail = io.BytesIO()
        photo.convert("RGB").save(thumbnail, "JPEG", quality=85)
        s3.put_object(
            Bucket=os.environ["THUMBNAILS"], Key=key, Body=thumbnail.getvalue(), ContentType="image/jpeg"
        )
        print(f"{key}: {photo.width}x{photo.height}, {thumbnail.tell()} bytes")
