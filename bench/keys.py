"""A KMS key and a ciphertext of it, for the load generator: `keys.py ENDPOINT` prints them as a line of JSON."""
import base64
import json
import sys

import boto3

kms = boto3.client("kms", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test",
                   aws_secret_access_key="test")
key = kms.create_key()["KeyMetadata"]["KeyId"]
context = {"purpose": "bench"}
plain = b"x" * 256
sealed = kms.encrypt(KeyId=key, Plaintext=plain, EncryptionContext=context)["CiphertextBlob"]
print(json.dumps({"key": key, "context": context, "plaintext": base64.b64encode(plain).decode(),
                  "ciphertext": base64.b64encode(sealed).decode()}))
