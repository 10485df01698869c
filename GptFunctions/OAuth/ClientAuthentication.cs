using System.Text;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.RateLimits;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>Reads client credentials from a request, and answers failed attempts.</summary>
internal sealed class ClientAuthentication(
    ClientAssertions assertions, RateLimiter limits, FailureTally tally, AuditLog audit, IOptions<OAuthSettings> settings)
{
    private const string BasicScheme = "Basic ";
    private const int MaximumClientIdLength = 512;
    private const int ClientsPerAddress = 10;

    /// <summary>What a request presents, its signature checked where it signs.</summary>
    public ValueTask<Outcome<ClientCredentials>> ReadAsync(string? authorization, FormParameters form, Occasion occasion) =>
        form["client_assertion"] is null && form["client_assertion_type"] is null
            ? new(Read(authorization, form))
            : new(ReadAssertionAsync(authorization, form, occasion));

    /// <summary>RFC 7523 2.2 and RFC 7521 4.2: client_id may be left out, and is the same where it is there.</summary>
    private async Task<Outcome<ClientCredentials>> ReadAssertionAsync(string? authorization, FormParameters form, Occasion occasion)
    {
        if (!string.IsNullOrEmpty(authorization) || form["client_secret"] is not null)
        {
            return OAuthError.InvalidRequest("Send either a client assertion or a client secret, not both.");
        }

        if (form["client_assertion_type"] != ClientAssertions.Type || form["client_assertion"] is not { } text)
        {
            return OAuthError.InvalidRequest($"client_assertion needs client_assertion_type={ClientAssertions.Type}, and the other way round.");
        }

        if (ClientAssertions.ClientIdOf(text) is not { Length: > 0 and <= MaximumClientIdLength } clientId)
        {
            return OAuthError.InvalidClient("client_assertion must be a JWT whose sub is the client_id (RFC 7523 section 3).");
        }

        if (form["client_id"] is { } named && named != clientId)
        {
            return OAuthError.InvalidRequest("client_id in the body differs from the one in the client assertion.");
        }

        var credentials = new ClientCredentials(clientId, AuthMethods.PrivateKeyJwt, null);
        var (assertion, failure) = await assertions.CheckAsync(clientId, text);
        return assertion is not null ? credentials with { Assertion = assertion } : await RefuseAsync(credentials, failure!, occasion);
    }

    /// <summary>RFC 6749 2.3: exactly one method. The secret leaves this method as a hash only.</summary>
    private static Outcome<ClientCredentials> Read(string? authorization, FormParameters form)
    {
        var bodyId = form["client_id"];
        var bodySecret = form["client_secret"];
        if (!string.IsNullOrEmpty(authorization))
        {
            return bodySecret is not null ? OAuthError.InvalidRequest("Send the client secret once: in the Authorization header or in the body, not in both.")
                : ReadBasic(authorization) is not { } basic
                    ? OAuthError.InvalidClient(
                        "The Authorization header must be Basic with the base64 of the form-encoded client_id, a colon and the form-encoded client_secret.")
                : bodyId is not null && bodyId != basic.ClientId
                    ? OAuthError.InvalidRequest("client_id in the body differs from the one in the Authorization header.")
                : basic;
        }

        return bodyId is null or { Length: > MaximumClientIdLength }
            ? OAuthError.InvalidClient("Client authentication is missing: send client_id and client_secret in the body, or an Authorization: Basic header.")
            : bodySecret is null ? new ClientCredentials(bodyId, AuthMethods.None, null)
            : new ClientCredentials(bodyId, AuthMethods.Post, Sha256.Of(bodySecret));
    }

    /// <summary>
    /// Counts a failed attempt per client id and network (an IPv4 address, a /64 of IPv6), and per network whatever ids it makes up. Up to
    /// the limits it is audited and answered with its error; beyond them the answer is 429, and the trail gets one event per window with
    /// the number of tries. The right secret is never counted, so nobody can lock a client out.
    /// </summary>
    public async Task<OAuthError> RefuseAsync(ClientCredentials credentials, OAuthError error, Occasion occasion)
    {
        if (tally.Refuse(occasion) is { } stillRefused)
        {
            return OAuthError.TooManyFailures(stillRefused).Of(error.Why.ClientId, null);
        }

        var (limit, network) = (settings.Value.AuthFailureLimit, occasion.Network);
        if ((await limits.TryTakeAsync($"client-auth|{credentials.ClientId}|{network}", limit, FailureTally.Window)).RetryAfterSeconds is { } ofClient)
        {
            tally.Add(credentials.ClientId, occasion, ofClient);
            return OAuthError.TooManyFailures(ofClient).Of(error.Why.ClientId, null);
        }

        // Only for what the first one admits: a client that repeats its mistake for ever leaves room for the mistakes of others.
        if ((await limits.TryTakeAsync($"client-auth-address|{network}", limit * ClientsPerAddress, FailureTally.Window)).RetryAfterSeconds is { } ofNetwork)
        {
            tally.Add(null, occasion, ofNetwork);
            return OAuthError.TooManyFailures(ofNetwork).Of(error.Why.ClientId, null);
        }

        // The limits let one more through every now and then; whoever goes on is being counted already.
        if (tally.TryAdd(credentials.ClientId, occasion))
        {
            return error;
        }

        await audit.AppendAsync(AuditEvents.ClientAuthFailed, occasion, json =>
        {
            json.WriteString("client_id", credentials.ClientId);
            json.WriteString("auth_method", credentials.Method);
        });
        return error;
    }

    private static ClientCredentials? ReadBasic(string authorization)
    {
        if (!authorization.StartsWith(BasicScheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var encoded = authorization.AsSpan(BasicScheme.Length).Trim();
        var decoded = new byte[encoded.Length];
        if (!Convert.TryFromBase64Chars(encoded, decoded, out var length) || decoded.AsSpan(0, length).IndexOf((byte)':') is not (> 0 and var colon))
        {
            return null;
        }

        // RFC 6749 2.3.1: both parts are form-encoded before they are joined.
        var id = FormParameters.Decode(decoded.AsSpan(0, colon));
        var secret = FormParameters.Decode(decoded.AsSpan(colon + 1, length - colon - 1));
        return id is null or { Length: > MaximumClientIdLength } || secret is null || Encoding.UTF8.GetByteCount(id) == 0
            ? null
            : new ClientCredentials(id, AuthMethods.Basic, Sha256.Of(secret));
    }
}
