using System.Net;
using System.Net.Sockets;
using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Audit;

/// <summary>The types of audit events; each is the routing key of its message as well.</summary>
internal static class AuditEvents
{
    public const string Authorize = "gpt.oauth.authorize";
    public const string AuthorizeDenied = "gpt.oauth.authorize_denied";
    public const string TokenExchanged = "gpt.oauth.token_exchanged";
    public const string TokenRefreshed = "gpt.oauth.token_refreshed";
    public const string TokenRepeated = "gpt.oauth.token_repeated";
    public const string ReplayDetected = "gpt.oauth.replay_detected";
    public const string CodeReplayDetected = "gpt.oauth.code_replay_detected";
    public const string SessionRevoked = "gpt.oauth.session_revoked";
    public const string AllSessionsRevoked = "gpt.oauth.all_sessions_revoked";
    public const string ClientAuthFailed = "gpt.oauth.client_auth_failed";
    public const string ClientAuthLimited = "gpt.oauth.client_auth_limited";
    public const string ClientRegistered = "gpt.oauth.client_registered";
    public const string SignedIn = "gpt.oauth.signed_in";
    public const string UserUpdated = "gpt.webhook.user_updated";
    public const string UserDeleted = "gpt.webhook.user_deleted";
    public const string PlanChanged = "gpt.webhook.plan_changed";
    public const string VerificationOpened = "gpt.webhook.verification_opened";
    public const string Verified = "gpt.webhook.verified";
    public const string VerificationDeclined = "gpt.webhook.verification_declined";
}

/// <summary>What every audit event tells of the request it came from.</summary>
/// <param name="CorrelationId">Ties the event to the request's log lines.</param>
/// <param name="Address">The caller's address.</param>
internal readonly record struct RequestOrigin(string CorrelationId, string Address)
{
    private const int NetworkBytes = 64 / 8;

    /// <summary>
    /// What limits count instead of <see cref="Address"/>: of IPv6 the /64, because whoever has one address has all 2^64 of its network
    /// (RFC 4291 2.5.1); of IPv4 the address itself. Worked out each time it is asked for.
    /// </summary>
    public string Network
    {
        get
        {
            if (!IPAddress.TryParse(Address, out var address))
            {
                return Address;
            }

            if (address.IsIPv4MappedToIPv6)
            {
                return address.MapToIPv4().ToString();
            }

            if (address.AddressFamily != AddressFamily.InterNetworkV6)
            {
                return address.ToString();
            }

            Span<byte> network = stackalloc byte[16];
            address.TryWriteBytes(network, out _);
            network[NetworkBytes..].Clear();
            return $"{new IPAddress(network)}/64";
        }
    }
}

internal static class RequestOriginExtensions
{
    public static RequestOrigin Origin(this ClientAddress addresses, HttpContext context) => new(context.CorrelationId(), addresses.Of(context));
}
