"""What a page for outsiders may say about AWS, and the shapes that it must never show."""

from __future__ import annotations

import re

from twokey.ports import PublicNames

_REGION = re.compile(
    r"(?:us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov)-(?:(?:north|south)?(?:east|west)?|central)-[1-9]"
)


PUBLIC = PublicNames(
    title="AWS",
    region=lambda region: region if _REGION.fullmatch(region) else "",
    services={
        "apigateway": "Amazon API Gateway",
        "athena": "Amazon Athena",
        "cloudfront": "Amazon CloudFront",
        "cloudtrail": "AWS CloudTrail",
        "cloudwatch": "Amazon CloudWatch",
        "directconnect": "AWS Direct Connect",
        "dynamodb": "Amazon DynamoDB",
        "ebs": "Amazon EBS",
        "ec2": "Amazon EC2",
        "ecs": "Amazon ECS",
        "eks": "Amazon EKS",
        "elasticache": "Amazon ElastiCache",
        "elasticloadbalancing": "Elastic Load Balancing",
        "iam": "AWS IAM",
        "kinesis": "Amazon Kinesis",
        "kms": "AWS KMS",
        "lambda": "AWS Lambda",
        "organizations": "AWS Organizations",
        "rds": "Amazon RDS",
        "redshift": "Amazon Redshift",
        "route53": "Amazon Route 53",
        "s3": "Amazon S3",
        "secretsmanager": "AWS Secrets Manager",
        "sns": "Amazon SNS",
        "sqs": "Amazon SQS",
        "sts": "AWS STS",
        "vpc": "Amazon VPC",
        "vpn": "AWS Site-to-Site VPN",
    },
    wholes=(
        (
            "access-key",
            re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|ANPA|ABIA|ACCA|AGPA|AIPA|ANVA|APKA)[A-Z0-9]{8,}\b"),
        ),
        ("arn", re.compile(r"\barn:[a-z-]*:[^\s`|]*", re.I)),
    ),
    ids=(
        ("account", re.compile(r"(?<![\d.:-])\d{4}-?\d{4}-?\d{4}(?![\d-])")),
        ("organisation", re.compile(r"\bo-[a-z0-9]{10,32}\b|\bou-[a-z0-9]{4,32}-[a-z0-9]{8,32}\b")),
        ("resource", re.compile(r"\b(?:i|vol|snap|sg|subnet|vpc|eni|ami|rtb|igw|nat)-[0-9a-f]{8,17}\b")),
    ),
    domains=("amazonaws.com",),
)
