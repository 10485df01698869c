using GptFunctions.OAuth;
using GptFunctions.Tokens;

namespace GptFunctions.Connections.Pages;

/// <summary>What the page says of one app. Texts of the app are as it gave them.</summary>
public sealed record ConnectionCard
{
    private const int MaximumHosts = 3;

    public required string ClientId { get; init; }
    public required string Name { get; init; }

    /// <summary>Whose it is: the hosts that it leads to, or where what it says of itself is.</summary>
    public required IReadOnlyList<string> Hosts { get; init; }

    /// <summary>It leads to a program on a device of the person.</summary>
    public required bool IsOnDevice { get; init; }
    public required bool IsUnchecked { get; init; }
    public required bool IsDisabled { get; init; }
    public required IReadOnlyList<string> Sentences { get; init; }
    public required DateTimeOffset Since { get; init; }
    public required DateTimeOffset? LastUsed { get; init; }
    public required int Places { get; init; }

    internal static ConnectionCard Of(Connection connection, ScopeCatalog scopes)
    {
        string[] hosts = connection.IsOfDocument ? [new Uri(connection.ClientId).Authority]
            : connection.Hosts.Length > 0 ? connection.Hosts : [.. connection.RedirectUris.Select(RedirectUri.Host)];
        var away = hosts.Where(host => !IsLoopback(host)).Distinct(StringComparer.Ordinal).ToList();
        return new ConnectionCard
        {
            ClientId = connection.ClientId,
            Name = connection.Name,
            Hosts = [.. away.Take(MaximumHosts)],
            IsOnDevice = away.Count < hosts.Length,
            IsUnchecked = connection.IsUnchecked,
            IsDisabled = connection.IsDisabled,
            Sentences = [.. scopes.Names.Intersect(connection.Scopes, StringComparer.Ordinal).Select(scope => scopes.Sentence(scope, "en").Text)],
            Since = connection.Since,
            LastUsed = connection.LastUsed,
            Places = connection.Places,
        };
    }

    // As a consent names them, with a port (RedirectUri.Host); the port is another one tomorrow.
    private static bool IsLoopback(string host) => RedirectUri.IsLoopback("http://" + host);
}
