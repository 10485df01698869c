using GptFunctions.OAuth;

namespace GptFunctions.Operations;

/// <summary>Why requests of a client were refused, and how often.</summary>
/// <param name="Reason">Of docs/refusals.md.</param>
/// <param name="LastHour">The newest hour (UTC) in which it happened.</param>
public sealed record AppRefusals(string Endpoint, string Reason, long Count, DateTimeOffset LastHour);

/// <summary>A client as its pages show it.</summary>
/// <param name="Approval"><c>ours</c>, <c>approved</c> or <c>unchecked</c>.</param>
/// <param name="OpenSessions">Counted up to <see cref="MostCounted"/>.</param>
public sealed record AppLine(
    string Id, string Name, string Kind, string Approval, string[] AuthMethods, int SecretCount, string[] RedirectUris, string[] Scopes, bool RequirePkce,
    long OpenSessions, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? DisabledAt)
{
    public const int MostCounted = ClientSearchStore.MostCounted;

    /// <summary>Requests of the last seven days that were refused.</summary>
    public long Refusals { get; init; }

    /// <summary>Its newest call through the gateway, as far as 90 days back.</summary>
    public DateTimeOffset? LastCallAt { get; init; }

    public bool IsUnchecked => Approval == "unchecked";

    internal static AppLine Of(ListedClient listed)
    {
        var client = listed.Client;
        return new(
            client.Id, client.Name, client.Kind, client.IsSelfRegistered ? "unchecked" : client.ApprovedAt is null ? "ours" : "approved", client.AuthMethods,
            client.SecretCount, client.RedirectUris, client.Scopes, client.RequirePkce, listed.OpenSessions, client.CreatedAt, client.LastUsedAt,
            client.DisabledAt);
    }
}
