using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Tokens;

namespace GptFunctions.Connections.Pages;

/// <summary>What the page says of one app.</summary>
public sealed record ConnectionCard
{
    private const int MaximumHosts = 3;

    public required string ClientId { get; init; }
    public required Name Name { get; init; }

    /// <summary>Whose it is: the hosts that it leads to, or where what it says of itself is.</summary>
    public required IReadOnlyList<Name> Hosts { get; init; }

    /// <summary>It leads to a program on a device of the person.</summary>
    public required bool IsOnDevice { get; init; }
    public required bool IsUnchecked { get; init; }
    public required bool IsDisabled { get; init; }

    /// <summary>What it may do, each with the language that it is in (null: nobody said so).</summary>
    public required IReadOnlyList<(string Text, string? Language)> Sentences { get; init; }
    public required DateTimeOffset Since { get; init; }
    public required DateTimeOffset? LastUsed { get; init; }

    /// <summary>In 30 days.</summary>
    public required int Calls { get; init; }
    public required int Places { get; init; }

    /// <param name="language">BCP 47, of the page.</param>
    internal static ConnectionCard Of(Connection connection, ScopeCatalog scopes, string language)
    {
        var hosts = connection.Hosts.Length > 0 ? connection.Hosts : [.. connection.RedirectUris.Select(RedirectUri.Host)];
        var away = connection.IsOfDocument
            ? [new Uri(connection.ClientId).Authority]
            : hosts.Where(host => !IsLoopback(host)).Distinct(StringComparer.Ordinal);
        return new ConnectionCard
        {
            ClientId = connection.ClientId,
            Name = connection.Name,
            Hosts = [.. away.Take(MaximumHosts).Select(Name.OfAddress)],
            // A consent names a loopback address with its port, which is another one tomorrow, and a private-use scheme with its colon.
            IsOnDevice = hosts.Any(host => IsLoopback(host) || host.EndsWith(':')),
            IsUnchecked = connection.IsUnchecked,
            IsDisabled = connection.IsDisabled,
            Sentences = [.. scopes.Names.Intersect(connection.Scopes, StringComparer.Ordinal).Select(scope => scopes.Sentence(scope, language))
                .Select(sentence => (sentence.Text, sentence.Language))],
            Since = connection.Since,
            LastUsed = connection.LastUsed,
            Calls = (int)Math.Min(connection.Calls, int.MaxValue),
            Places = connection.Places,
        };
    }

    private static bool IsLoopback(string host) => RedirectUri.IsLoopback("http://" + host);
}
