using System.Collections.Frozen;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

/// <summary>
/// Every reason for which a request is refused: the fixed list that the log and the meters use (docs/refusals.md says what each means and what to do).
/// An error whose code on the wire is the name of one of these has that reason by itself.
/// </summary>
internal enum RefusalReason
{
    /// <summary>Not in this list: every refusal of ours is, which a test holds after all the others.</summary>
    Other,

    // Any route
    Outage,
    Bug,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    RateLimited,
    ServiceKeyMissing,
    OriginNotAllowed,
    OperatorsOnly,

    // Who calls with a token
    TokenMissing,
    TokenInUrl,
    TokenForged,
    TokenUnfit,
    TokenExpired,
    SessionEnded,
    InsufficientScope,
    UserNotFound,
    UserBlocked,

    // Clients
    InvalidClient,
    ClientUnknown,
    ClientSecretWrong,
    ClientMethodWrong,
    ClientAssertionWrong,
    ClientDocumentUnavailable,
    ClientDocumentInvalid,
    TooManyFailures,

    // Authorization, sign-in, consent
    RedirectUriUnregistered,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    NotInProgress,
    SignInDenied,
    SignInFailed,
    ConsentDenied,
    AccountClosed,
    ClientUnapproved,
    SessionLimit,

    // Token requests
    UnsupportedGrantType,
    CodeUnknown,
    CodeExpired,
    CodeReplayed,
    CodeMismatch,
    RefreshMalformed,
    RefreshUnknown,
    RefreshExpired,
    RefreshReplayed,
    ClientMismatch,
    SessionRevoked,
    SessionReplaced,
    SessionReplayed,
    SessionExpired,
    ScopesWithdrawn,

    // Registration
    RegistrationClosed,
    InvalidClientMetadata,
    InvalidRedirectUri,

    // Gateway
    TooManyOpenCalls,
    PlanRequired,
    QuotaUsedUp,
    QuotaUnavailable,
    GatewayBusy,
    IdentityUnavailable,
    AuditUnavailable,
    SafeMode,
    UpstreamUnreachable,
    UpstreamInvalidResponse,
    UpstreamUnauthorized,
    UpstreamTimeout,
    ResponseTooLarge,
    UploadTimeout,

    // Webhooks
    MissingHeaders,
    InvalidSignature,
    Malformed,
    NoSecret,
    InProgress,
    TooLate,
    Failed,
}

internal static class RefusalReasons
{
    private static readonly string[] Texts = [.. Enum.GetNames<RefusalReason>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];

    private static readonly FrozenDictionary<string, RefusalReason> ByText =
        Enum.GetValues<RefusalReason>().ToFrozenDictionary(Text, StringComparer.OrdinalIgnoreCase);

    /// <summary>As the log and the meters write it: <c>refresh_expired</c>.</summary>
    public static string Text(this RefusalReason reason) => Texts[(int)reason];

    /// <summary>The reason that is called like a code on the wire, in any case; <see cref="RefusalReason.Other"/> when none is.</summary>
    public static RefusalReason Of(string? code) => code is not null && ByText.TryGetValue(code, out var reason) ? reason : RefusalReason.Other;
}

/// <summary>What the log says of a refusal, and the answer does not.</summary>
/// <param name="ClientId">Of a client that exists; what somebody merely claims could be anything, a secret in the wrong field included.</param>
/// <param name="SessionId">Of a token that was presented, where it is known.</param>
internal readonly record struct Refusal(RefusalReason Reason, string? ClientId = null, Guid? SessionId = null)
{
    /// <summary>Adds who it was, where that was not known yet.</summary>
    public Refusal From(string? clientId, Guid? sessionId) => new(Reason, ClientId ?? clientId, SessionId ?? sessionId);
}

/// <summary>What is known of a request when it has been answered; <see cref="RequestLog"/> writes it down, once.</summary>
internal sealed class RequestNotes
{
    /// <summary>What <see cref="Correlation"/> found or made; null until somebody asked.</summary>
    public string? CorrelationId { get; set; }

    /// <summary>Why it was refused: the first that was noted counts, unless an exception came after it.</summary>
    public Refusal? Refusal { get; private set; }

    /// <summary>Whether a line of its own, with a stack trace or the like, says so already.</summary>
    public bool IsLogged { get; private set; }

    /// <summary>The gateway's route that it went to; then a status of 400 or more may be its upstream's own.</summary>
    public string? Action { get; set; }

    /// <summary>The parameters that a refused request sent in its body, by name; null: look at its query.</summary>
    public Func<string, string?>? Sent { get; set; }

    /// <summary>What became of a request that was not refused, where there is more to say than <c>ok</c>.</summary>
    public string? Outcome { get; set; }

    public static RequestNotes Of(HttpContext context)
    {
        if (context.Features.Get<RequestNotes>() is { } known)
        {
            return known;
        }

        var notes = new RequestNotes();
        context.Features.Set(notes);
        return notes;
    }

    public void Refuse(Refusal refusal) => Refusal ??= refusal;

    /// <summary>An exception ended the request, whatever had been noted before.</summary>
    public void Fail(RefusalReason reason, bool isLogged) => (Refusal, IsLogged) = (new Refusal(reason), isLogged);
}
