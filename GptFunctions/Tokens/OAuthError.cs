using Microsoft.AspNetCore.Http;

namespace GptFunctions.Tokens;

/// <summary>An error of RFC 6749 (and its relatives) as a value: what the wire shows and the HTTP status that goes with it.</summary>
internal sealed record OAuthError(string Code, string Description, int Status = StatusCodes.Status400BadRequest)
{
    /// <summary>RFC 6749 4.1.2.1 and 5.2: printable ASCII without quotation mark and backslash. Some descriptions name what the client sent.</summary>
    public string Description { get; } = string.Concat(
        Description.Select(character => character is >= ' ' and <= '~' and not ('"' or '\\') ? character : '?'));

    /// <summary>For 429: whole seconds after which another try is admitted.</summary>
    public int? RetryAfterSeconds { get; init; }

    public static OAuthError InvalidRequest(string description) => new("invalid_request", description);

    public static OAuthError InvalidGrant(string description) => new("invalid_grant", description);

    public static OAuthError InvalidScope(string description) => new("invalid_scope", description);

    /// <summary>RFC 8707 section 2.</summary>
    public static OAuthError InvalidTarget(string description) => new("invalid_target", description);

    public static OAuthError InvalidClient(string description) => new("invalid_client", description, StatusCodes.Status401Unauthorized);

    /// <summary>One text for an unknown client and a wrong secret, so that they cannot be told apart.</summary>
    public static OAuthError ClientAuthenticationFailed { get; } = InvalidClient("Client authentication failed: check the client id and the client secret.");

    public static OAuthError TooManyFailures(int retryAfterSeconds) =>
        new(
            "invalid_client",
            $"Too many failed client authentications from this address. Check the client secret and try again in {retryAfterSeconds} seconds.",
            StatusCodes.Status429TooManyRequests)
        {
            RetryAfterSeconds = retryAfterSeconds,
        };
}

/// <summary>Either a value or the error that the protocol has for its absence.</summary>
internal readonly record struct Outcome<T>(T? Value, OAuthError? Error)
    where T : class
{
    public static implicit operator Outcome<T>(T value) => new(value, null);

    public static implicit operator Outcome<T>(OAuthError error) => new(null, error);
}
