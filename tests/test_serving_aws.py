"""docs/serving/s3-cloudfront.md tells the truth: its template is valid, makes what the page says, and permits enough.

moto stands for AWS. It knows no CloudFormation of CloudFront, so each resource of the template is made by its own API;
the policies, which moto does not enforce, are evaluated here.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
import requests
import yaml

import peers
from offhook.phone.boot import FetchOptions
from offhook.publish.roots.opening import open_root, open_state
from offhook.publish.roots.root import RootOptions
from places import ACCESS_KEY, SECRET_KEY, environment
from served import FILES, PAGES, assert_phones_boot, block

pytestmark = pytest.mark.peer

PAGE = (PAGES / "s3-cloudfront.md").read_text("utf-8")
PUBLISH, STATE, URL = (re.findall(rf"`{key}: (\S+)`", PAGE)[0] for key in ("publish", "state", "url"))
PREFIX = "9f2c"
ACCOUNT, REGION = "123456789012", "eu-central-1"
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1234abcd"

Statement = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    assert isinstance(node, yaml.ScalarNode)
    return {suffix: loader.construct_scalar(node)}


_Loader.add_multi_constructor("!", _function)
TEMPLATE = yaml.load(block("s3-cloudfront.md", "yaml"), _Loader)


class Stack:
    """The template's resources, as CloudFormation would make them of these parameters."""

    def __init__(self, endpoint: str) -> None:
        given = {"Certificate": CERTIFICATE, "Prefix": PREFIX}
        defaults = {name: about.get("Default", "") for name, about in TEMPLATE["Parameters"].items()}
        self.names = {
            **defaults,
            **given,
            "AWS::Partition": "aws",
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": "phones",
        }
        self._keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        self._endpoint = endpoint

    def client(self, service: str) -> Any:
        return boto3.session.Session().client(service, endpoint_url=self._endpoint, region_name=REGION, **self._keys)

    def resolved(self, value: Any) -> Any:
        """Return a value without functions; what does not exist yet is a KeyError."""
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Ref": str(name)} | {"GetAtt": str(name)}:
                return self.names[name]
            case {"Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: self.names[found[1]], text)
        return {key: self.resolved(one) for key, one in value.items()}

    def properties(self, resource: str) -> Any:
        return self.resolved(TEMPLATE["Resources"][resource]["Properties"])


def make_bucket(stack: Stack, resource: str) -> None:
    s3, wanted = stack.client("s3"), stack.properties(resource)
    name = wanted["BucketName"]
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=wanted["PublicAccessBlockConfiguration"])
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=wanted["OwnershipControls"])
    rules = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=wanted["VersioningConfiguration"])
    lifecycle = [
        {"ID": rule["Id"], "Filter": {"Prefix": ""}, **{key: rule[key] for key in rule if key != "Id"}}
        for rule in wanted["LifecycleConfiguration"]["Rules"]
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": lifecycle})
    stack.names[resource] = name
    stack.names[f"{resource}.RegionalDomainName"] = f"{name}.s3.{REGION}.amazonaws.com"


def counted(items: list[Any]) -> dict[str, Any]:
    return {"Quantity": len(items), "Items": items}


def make_distribution(stack: Stack) -> None:
    cloudfront = stack.client("cloudfront")
    access = stack.properties("Access")["OriginAccessControlConfig"]
    made = cloudfront.create_origin_access_control(OriginAccessControlConfig=access)
    stack.names["Access.Id"] = made["OriginAccessControl"]["Id"]
    stack.names["Cache"] = "cache-policy"  # moto has none
    wanted = dict(stack.properties("Distribution")["DistributionConfig"])
    behaviour = dict(wanted["DefaultCacheBehavior"])
    behaviour["AllowedMethods"] = counted(behaviour["AllowedMethods"])
    viewer = wanted["ViewerCertificate"]
    config = {
        **wanted,
        "CallerReference": "once",
        "Comment": "",
        "Aliases": counted(wanted["Aliases"]),
        "Origins": counted(wanted["Origins"]),
        "DefaultCacheBehavior": behaviour,
        "CustomErrorResponses": counted(wanted["CustomErrorResponses"]),
        "ViewerCertificate": {
            "ACMCertificateArn": viewer["AcmCertificateArn"],
            "SSLSupportMethod": viewer["SslSupportMethod"],
            "MinimumProtocolVersion": viewer["MinimumProtocolVersion"],
        },
    }
    made = cloudfront.create_distribution(DistributionConfig=config)["Distribution"]
    stack.names["Distribution"] = made["Id"]
    stack.names["Distribution.arn"] = made["ARN"]


def make_role(stack: Stack) -> None:
    iam, wanted = stack.client("iam"), stack.properties("Publisher")
    iam.create_role(RoleName="publisher", AssumeRolePolicyDocument=json.dumps(wanted["AssumeRolePolicyDocument"]))
    for policy in wanted["Policies"]:
        document = json.dumps(policy["PolicyDocument"])
        iam.put_role_policy(RoleName="publisher", PolicyName=policy["PolicyName"], PolicyDocument=document)


@pytest.fixture
def asked() -> list[tuple[str, str]]:
    """Actions and resources of the requests to S3."""
    return []


@pytest.fixture
def stack(asked: list[tuple[str, str]]) -> Iterator[Stack]:
    def note(environ: dict[str, Any]) -> None:
        as_cloudfront(environ)
        if environ["PATH_INFO"].startswith(("/nordwind-phones", "/nordwind-state")):
            asked.extend(actions_of(environ))

    with environment(), peers.moto(note) as endpoint:
        stack = Stack(endpoint)
        make_bucket(stack, "Phones")
        make_bucket(stack, "State")
        make_distribution(stack)
        make_role(stack)
        asked.clear()
        yield stack


def as_cloudfront(environ: dict[str, Any]) -> None:
    """Make of a phone's request, which nobody signed, what the distribution asks of its origin."""
    if "HTTP_AUTHORIZATION" in environ or environ["PATH_INFO"].startswith("/moto-api"):
        return
    config = TEMPLATE["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    path = environ["PATH_INFO"]
    if path == "/":
        path = f"/{config.get('DefaultRootObject', '')}"
    environ["PATH_INFO"] = f"/nordwind-phones{config['Origins'][0].get('OriginPath', '')}{path}"
    environ["QUERY_STRING"] = ""
    environ["RAW_URI"] = environ["REQUEST_URI"] = environ["PATH_INFO"]
    environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/s3/aws4_request"


def actions_of(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what IAM asks for a request (Service Authorization Reference, "Actions for Amazon S3"), with resources."""
    bucket, _, key = environ["PATH_INFO"][1:].partition("/")
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    arn = f"arn:aws:s3:::{bucket}"
    if method == "POST" and "delete" in query:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        return [
            ("s3:DeleteObject", f"{arn}/{found.text}")
            for found in ElementTree.fromstring(body).iter()
            if found.tag.endswith("Key")
        ]
    if not key:
        return [({"GET": "s3:ListBucket", "HEAD": "s3:ListBucket"}.get(method, f"{method} {query}"), arn)]
    named = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
    assert query in ("", f"x-id={named[method][3:]}"), f"{method} {query}: an action of its own"
    return [(named[method], f"{arn}/{key}")]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def holds(statement: Statement, action: str, resource: str, context: dict[str, str]) -> bool:
    """Tell whether a statement speaks of a request (IAM User Guide, "Policy evaluation logic")."""
    if not any(fnmatchcase(action, one) for one in listed(statement["Action"])):
        return False
    if not any(fnmatchcase(resource, one) for one in listed(statement.get("Resource", "*"))):
        return False
    if statement.get("Principal", "*") not in ("*", {"Service": context.get("service")}):
        return False
    conditions = statement.get("Condition", {})
    assert conditions.keys() <= {"StringEquals", "Bool"}
    return all(context.get(key.lower()) == value for one in conditions.values() for key, value in one.items())


def allows(statements: list[Statement], action: str, resource: str, **context: str) -> bool:
    """Evaluate a policy: a deny wins, and what nothing allows is denied."""
    told = {key.replace("_", ":"): value for key, value in context.items()}
    effects = [one["Effect"] for one in statements if holds(one, action, resource, told)]
    return "Allow" in effects and "Deny" not in effects


def test_the_template_is_valid() -> None:
    """By AWS's own schemas of its resources; a warning is an error."""
    from cfnlint import lint
    from cfnlint.config import ManualArgs

    found = lint(block("s3-cloudfront.md", "yaml"), config=ManualArgs(regions=["eu-central-1", "us-east-1"]))
    assert [f"{match.linenumber}: {match.message}" for match in found] == []


def test_nobody_but_the_distribution_reads(stack: Stack) -> None:
    s3, policy = stack.client("s3"), stack.properties("PhonesPolicy")
    # here only: moto refuses by a policy without a look at its conditions
    s3.put_bucket_policy(Bucket=policy["Bucket"], Policy=json.dumps(policy["PolicyDocument"]))
    statements = json.loads(s3.get_bucket_policy(Bucket="nordwind-phones")["Policy"])["Statement"]
    mine = {"service": "cloudfront.amazonaws.com", "aws_sourcearn": stack.names["Distribution.arn"]}
    theirs = {**mine, "aws_sourcearn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/ANOTHER"}
    bucket = "arn:aws:s3:::nordwind-phones"
    phone = f"{bucket}/phones/{PREFIX}/0021f2000001.cfg"

    def who(action: str, resource: str) -> list[bool]:
        secure = [allows(statements, action, resource, aws_securetransport="true", **one) for one in (mine, theirs, {})]
        return [*secure, allows(statements, action, resource, aws_securetransport="false", **mine)]

    assert who("s3:GetObject", phone) == [True, False, False, False]
    assert who("s3:ListBucket", bucket) == [True, False, False, False]
    for action, resource in [
        ("s3:GetObject", f"{bucket}/other/a.cfg"),
        ("s3:PutObject", phone),
        ("s3:DeleteObject", phone),
    ]:
        assert who(action, resource) == [False] * 4
    for name in ("nordwind-phones", "nordwind-state"):
        blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        assert set(blocked) == {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
        assert set(blocked.values()) == {True}
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in encryption] == ["AES256"]
        (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        owner = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_the_distribution(stack: Stack) -> None:
    found = stack.client("cloudfront").get_distribution_config(Id=stack.names["Distribution"])["DistributionConfig"]
    (origin,) = found["Origins"]["Items"]
    assert origin["DomainName"] == f"nordwind-phones.s3.{REGION}.amazonaws.com"
    (wanted,) = stack.properties("Distribution")["DistributionConfig"]["Origins"]
    assert wanted["OriginAccessControlId"] == stack.names["Access.Id"]  # which moto does not give back
    assert wanted["S3OriginConfig"] == {"OriginAccessIdentity": ""}
    access = stack.client("cloudfront").get_origin_access_control(Id=stack.names["Access.Id"])["OriginAccessControl"]
    assert access["OriginAccessControlConfig"]["SigningBehavior"] == "always"
    behaviour = found["DefaultCacheBehavior"]
    assert behaviour["ViewerProtocolPolicy"] == "https-only"
    assert sorted(behaviour["AllowedMethods"]["Items"]) == ["GET", "HEAD"]
    errors = {one["ErrorCode"]: one for one in found["CustomErrorResponses"]["Items"]}
    assert {code: int(one["ErrorCachingMinTTL"]) for code, one in errors.items()} == {403: 1, 404: 1}
    assert [one.get("ResponseCode") or None for one in errors.values()] == [None, None]  # 403 stays 403
    assert found["Aliases"]["Items"] == ["prov.nordwind.example"]
    assert found["ViewerCertificate"]["ACMCertificateArn"] == CERTIFICATE


def test_a_list_cannot_be_asked_for(stack: Stack) -> None:
    """CloudFront may list: no request of a phone may become one of the bucket's root, and none has a query."""
    config = stack.properties("Distribution")["DistributionConfig"]
    (origin,) = config["Origins"]
    assert re.fullmatch(r"/\w+", origin["OriginPath"])
    assert config["DefaultRootObject"]
    cache = stack.properties("Cache")["CachePolicyConfig"]
    forwarded = cache["ParametersInCacheKeyAndForwardedToOrigin"]
    assert forwarded["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
    assert "OriginRequestPolicyId" not in config["DefaultCacheBehavior"]
    assert (cache["MinTTL"], cache["DefaultTTL"], cache["MaxTTL"]) == (0, 0, 300)


def test_the_role_has_what_offhook_calls_and_no_more(stack: Stack, asked: list[tuple[str, str]]) -> None:
    options = RootOptions(endpoint=stack.client("s3").meta.endpoint_url, region=REGION, attempts=1)
    root, state = open_root(PUBLISH, options=options), open_state(STATE, options=options)
    for place in (root, state):
        assert place.read("a.cfg") is None
        place.write("a.cfg", b"1")
        place.write("sites/b.cfg", b"2")
        assert place.read("a.cfg") == b"1"
        assert len(list(place.list())) == 2
        place.delete(["a.cfg", "sites/b.cfg", "not-there.cfg"])
    assert state.swaps() is True
    assert state.write_version("manifest.json", b"1", None) is True
    found = state.read_version("manifest.json")
    assert found is not None
    assert state.write_version("manifest.json", b"2", found[1]) is True

    policy = stack.client("iam").get_role_policy(RoleName="publisher", PolicyName="publish")["PolicyDocument"]
    statements = policy["Statement"]
    assert [one for one in asked if not allows(statements, *one)] == []
    granted = [
        (action, resource)
        for one in statements
        for action in listed(one["Action"])
        for resource in listed(one["Resource"])
    ]
    unused = [(a, r) for a, r in granted if not any(a == action and fnmatchcase(at, r) for action, at in asked)]
    assert unused == []
    assert not allows(statements, "s3:GetObject", "arn:aws:s3:::nordwind-phones/phones/another/a.cfg")


def test_only_jobs_of_one_environment_may_take_the_role(stack: Stack) -> None:
    role = stack.client("iam").get_role(RoleName="publisher")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    claim = "token.actions.githubusercontent.com"
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{claim}:aud": "sts.amazonaws.com",
                f"{claim}:sub": "repo:nordwind/phones:environment:production",
            }
        },
    }


def test_phones_boot_from_what_is_published(stack: Stack, tmp_path: Path) -> None:
    """Through a stand-in for the distribution, which asks what CloudFront would ask; nothing it asks is a list."""
    endpoint = stack.client("s3").meta.endpoint_url
    root = open_root(PUBLISH, options=RootOptions(endpoint=endpoint, region=REGION))
    for path, content in FILES.items():
        root.write(path, content)
    name = "https://prov.nordwind.example"
    assert URL.startswith(f"{name}/")
    assert_phones_boot(tmp_path, URL.replace(name, endpoint), FetchOptions())
    asked = ["/", "/?list-type=2", "/?list-type=2&prefix=phones/", "//", f"/{PREFIX}", f"/{PREFIX}/", "/phones/"]
    assert [requests.get(endpoint + path, timeout=10).status_code for path in asked] == [404] * len(asked)
