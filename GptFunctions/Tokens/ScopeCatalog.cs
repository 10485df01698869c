using System.Collections.Frozen;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>The scopes that exist, in the order in which they are shown, each with a sentence for people.</summary>
internal sealed class ScopeCatalog
{
    private const string Default =
        "jobs:read=Search job offers and read their details;"
        + "applications:read=See the applications you have sent and how they stand;"
        + "applications:write=Send job applications in your name;"
        + "resume:read=Read your résumé and comment on it";

    private readonly FrozenDictionary<string, string> sentences;

    public ScopeCatalog(IOptions<TokenSettings> settings)
    {
        if (!TryParse(settings.Value.Scopes ?? Default, out var scopes))
        {
            throw new InvalidOperationException("GPT_SCOPES was not validated.");
        }

        Names = [.. scopes.Select(scope => scope.Key)];
        sentences = scopes.ToFrozenDictionary(StringComparer.Ordinal);
    }

    public IReadOnlyList<string> Names { get; }

    /// <summary>The sentence for people; the scope's name for one that is no longer configured.</summary>
    public string Sentence(string scope) => sentences.GetValueOrDefault(scope, scope);

    public static bool TryParse(string text, out List<KeyValuePair<string, string>> scopes)
    {
        scopes = [];
        foreach (var entry in text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var parts = entry.Split('=', 2, StringSplitOptions.TrimEntries);
            if (parts.Length != 2 || !IsScopeToken(parts[0]) || parts[1].Length == 0 || scopes.Exists(scope => scope.Key == parts[0]))
            {
                return false;
            }

            scopes.Add(new(parts[0], parts[1]));
        }

        return scopes.Count > 0;
    }

    /// <summary>
    /// The scopes that a request names. Those that do not exist are left out as long as one does (RFC 6749 3.3; the answer says what was granted):
    /// some hosts add offline_access or openid to whatever they were told. When none exists they are all returned, to be refused.
    /// </summary>
    public string[] Read(string? scope)
    {
        var named = Split(scope);
        return named.Intersect(Names, StringComparer.Ordinal).ToArray() is { Length: > 0 } known ? known : named;
    }

    /// <summary>Splits a scope parameter (RFC 6749 3.3); repeated names count once.</summary>
    public static string[] Split(string? scope) =>
        scope is null ? [] : [.. scope.Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal)];

    // RFC 6749 3.3: %x21 / %x23-5B / %x5D-7E
    public static bool IsScopeToken(string name) => name.Length > 0 && name.All(character => character is >= '!' and <= '~' and not '"' and not '\\');
}
