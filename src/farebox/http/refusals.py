"""What the HTTP layer itself refuses, before any service is asked."""

from farebox.kernel.refusals import Refusal


class RouteUnknown(Refusal):
    """There is nothing at this path."""

    code = "route_unknown"


class MethodRefused(Refusal):
    """This path does not know this method."""

    code = "method_not_allowed"


class RequestMalformed(Refusal):
    """The request is not well-formed HTTP."""

    code = "request_malformed"


class BodyMalformed(Refusal):
    """The body is not JSON."""

    code = "body_malformed"


class BodyTooLarge(Refusal):
    """The body is larger than 1 MiB."""

    code = "body_too_large"


class ContentTypeRefused(Refusal):
    """The body is not of the content type that this route reads."""

    code = "content_type_refused"


class FieldsInvalid(Refusal):
    """A field or a parameter has a value that it cannot have."""

    code = "fields_invalid"


class CredentialMissing(Refusal):
    """This route needs a credential: Authorization: Bearer, or X-API-Key."""

    code = "credential_missing"


class CredentialAmbiguous(Refusal):
    """The request shows two credentials; one is enough."""

    code = "credential_ambiguous"


class KeyMissing(Refusal):
    """This route moves value and needs an Idempotency-Key header."""

    code = "idempotency_key_missing"


class InternalFault(Refusal):
    """Farebox made a mistake; it is in the log under the request id."""

    code = "internal_fault"


class BalanceInsufficient(Refusal):
    """The account has not enough for this; nothing was changed."""

    code = "insufficient_balance"


class HolderAmbiguous(Refusal):
    """Exactly one is named: a consumer or a group."""

    code = "holder_ambiguous"


class ServiceAbsent(Refusal):
    """What is asked for is of a service that is not served here."""

    code = "service_absent"


class NotPaid(Refusal):
    """This is not paid for: pay its order first."""

    code = "not_paid"
