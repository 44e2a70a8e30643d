"""AWS's errors in our own words: the one place that reads error codes. No message repeats text from AWS."""

from __future__ import annotations

from twokey.core.errors import Invalid, NotFound, Refused, TwokeyError, Unavailable

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "OperationNotPermittedException",
        "UnauthorizedOperation",
    }
)
_NOT_ACCEPTED = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_BUSY = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "FinalizingOrganizationException",
        "OperationAborted",
        "PolicyChangesInProgressException",
    }
)
_NOT_OFFERED = frozenset(
    {
        "InvalidAction",
        "MethodNotAllowed",
        "NotImplemented",
        "UnknownOperationException",
        "UnsupportedAPIEndpointException",
        "UnsupportedOperation",
        "UnsupportedOperationException",
    }
)
_MISSING = ("NoSuch", "NotFound", "NonExistent", "DoesNotExist", "404")


def of_response(code: str, status: int, *, action: str, account: str) -> TwokeyError:
    """Return our error for an error code and HTTP status that AWS answered an action with."""
    context = {"action": action, "account": account}
    if code in _THROTTLED or status == 429:
        return Unavailable("aws.throttled", **context)
    if code in _NOT_ACCEPTED:
        return Refused("aws.credentials_not_accepted", **context, error=code)
    if code in _DENIED:
        return Refused("aws.access_denied", **context)
    if code in _BUSY:
        return Unavailable("aws.concurrent_modification", **context, error=code)
    if code in _NOT_OFFERED or status == 501:
        return Refused("aws.not_offered", **context)  # asking again would not help
    if any(sign in code for sign in _MISSING):
        return NotFound("aws.not_found", **context, error=code)
    if status >= 500:
        return Unavailable("aws.service_error", **context, status=status)
    if status == 403:
        return Refused("aws.access_denied", **context)
    return Refused("aws.refused_by_service", **context, error=code)


def translated(error: Exception, *, action: str, account: str) -> TwokeyError | None:
    """Return our error for an exception of botocore's, or None when it is none of botocore's."""
    # A fault of AWS can only be met after botocore was loaded: this import costs nothing then.
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    context = {"action": action, "account": account}
    if isinstance(error, boto.ClientError):
        if error.operation_name == "AssumeRole":
            context["action"] = "sts:AssumeRole"
            # Its text is looked into and not shown: the code alone does not tell a role's trust of before.
            if "sts:SetSourceIdentity" in str(error.response.get("Error", {}).get("Message", "")):
                return Refused("aws.source_identity_refused", account=account)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return of_response(str(error.response.get("Error", {}).get("Code", "")), status, **context)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.ProfileNotFound):
        return Refused("aws.no_credentials", **context)
    if isinstance(error, boto.CredentialRetrievalError | boto.TokenRetrievalError | boto.SSOError):
        return Unavailable("aws.no_credentials", **context)
    if isinstance(error, boto.ParamValidationError):
        return Invalid("aws.input_not_accepted", **context)
    # A page of HTML from something in between is not botocore's own kind of exception.
    if isinstance(error, boto.BotoCoreError | boto.HTTPClientError | ResponseParserError):
        return Unavailable("aws.unreachable", **context, error=type(error).__name__)
    return None


def error_code(error: TwokeyError) -> str:
    """Return AWS's own error code where one of our errors carries it."""
    return error.message.params.get("error", "")
