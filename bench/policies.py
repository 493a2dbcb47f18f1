"""A user with many policies, with unmodified boto3: `policies.py ENDPOINT` prints its access key and the secret.

20 policies of 10 statements each, ten of them attached to the user and ten to a group of its; one statement of the last one
allows what the load will ask for, and the others speak of other tables.
"""
import json
import sys

import boto3


def statement(policy, at):
    if (policy, at) == (19, 9):
        return {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "arn:aws:dynamodb:*:*:table/bench"}
    return {"Effect": "Allow", "Action": "dynamodb:*Item", "Resource": f"arn:aws:dynamodb:*:*:table/*-{policy}?{at}"}


def main():
    iam = boto3.client(
        "iam", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    iam.create_user(UserName="bench")
    iam.create_group(GroupName="bench")
    iam.add_user_to_group(UserName="bench", GroupName="bench")
    for policy in range(20):
        document = {"Version": "2012-10-17", "Statement": [statement(policy, at) for at in range(10)]}
        arn = iam.create_policy(PolicyName=f"bench{policy}", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        if policy < 10:
            iam.attach_user_policy(UserName="bench", PolicyArn=arn)
        else:
            iam.attach_group_policy(GroupName="bench", PolicyArn=arn)
    key = iam.create_access_key(UserName="bench")["AccessKey"]
    print(json.dumps({"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}))


main()
