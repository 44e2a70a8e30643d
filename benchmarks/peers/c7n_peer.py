"""Cloud Custodian as a peer: one GuardDuty event isolates an instance and notifies, against moto in this process.

`python c7n_peer.py COUNT`; prints JSON: milliseconds an event, and those beyond its calls to AWS.
"""

import copy
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

ACCOUNT, REGION = "123456789012", "us-east-1"
os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION=REGION)
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "peer"
home = tempfile.mkdtemp()
os.chdir(home)
sys.path.insert(0, str(Path(__file__).parents[1]))

import boto3
from botocore.client import BaseClient
from c7n import handler
from c7n.resources import load_resources
from moto import mock_aws

import events

in_calls = 0.0
plain_call = BaseClient._make_api_call


def timed_call(self, *given):
    """Count the time in a call to AWS."""
    global in_calls
    begin = time.perf_counter()
    try:
        return plain_call(self, *given)
    finally:
        in_calls += time.perf_counter() - begin


BaseClient._make_api_call = timed_call
logging.disable(logging.CRITICAL)
load_resources(("aws.ec2",))
mock_aws().start()
ec2 = boto3.client("ec2")
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
group = ec2.create_security_group(GroupName="isolate", Description="x", VpcId=vpc)["GroupId"]
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, InstanceType="t3.micro")
instance = made["Instances"][0]["InstanceId"]
queue = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
policy = {
    "name": "isolate",
    "resource": "ec2",
    "mode": {"type": "guard-duty", "role": f"arn:aws:iam::{ACCOUNT}:role/x"},
    "filters": [{"type": "event", "key": "detail.severity", "op": "gte", "value": 4}],
    "actions": [
        {"type": "modify-security-groups", "isolation-group": group, "remove": "all"},
        {
            "type": "notify",
            "to": ["x@example.com"],
            "subject": "s",
            "template": "default",
            "transport": {"type": "sqs", "queue": queue},
        },
    ],
}
options = {"assume_role": None, "output_dir": f"{home}/out", "region": REGION, "account_id": ACCOUNT}
Path("config.json").write_text(json.dumps({"execution-options": options, "policies": [policy]}))
event = events.finding(2, accountId=ACCOUNT, region=REGION, severity=8)
event["account"], event["region"] = ACCOUNT, REGION
event["detail"]["resource"]["instanceDetails"]["instanceId"] = instance
handler.dispatch_event(copy.deepcopy(event), None)
card = made["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
groups = ec2.describe_network_interfaces(NetworkInterfaceIds=[card])["NetworkInterfaces"][0]["Groups"]
if [one["GroupId"] for one in groups] != [group]:
    raise SystemExit("the instance was not isolated")
count, in_calls = int(sys.argv[1]), 0.0
begin = time.perf_counter()
for _ in range(count):
    handler.dispatch_event(copy.deepcopy(event), None)
total = time.perf_counter() - begin
print(json.dumps({"total": total / count * 1e3, "own": (total - in_calls) / count * 1e3}))
