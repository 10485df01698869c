using GptFunctions.OAuth;

namespace GptFunctions.Operations;

/// <summary>A client as its pages show it.</summary>
/// <param name="Approval"><c>ours</c>, <c>approved</c> or <c>unchecked</c>.</param>
/// <param name="OpenSessions">Counted up to <see cref="MostCounted"/>.</param>
public sealed record AppLine(
    string Id, string Name, string Kind, string Approval, string[] AuthMethods, int SecretCount, string[] RedirectUris, string[] Scopes, bool RequirePkce,
    long OpenSessions, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? DisabledAt)
{
    public const int MostCounted = ClientSearchStore.MostCounted;

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
