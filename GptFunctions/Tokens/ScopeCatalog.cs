using System.Collections.Frozen;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>The scopes that exist, in the order in which they are shown, each with a sentence for people.</summary>
internal sealed class ScopeCatalog
{
    private const string Default = """
        {
          "jobs:read": { "en": "Search job offers and read their details", "de": "Stellenangebote suchen und ihre Einzelheiten lesen" },
          "applications:read": {
            "en": "See the applications you have sent and how they stand", "de": "Sehen, welche Bewerbungen Sie verschickt haben und wie sie stehen"
          },
          "applications:write": { "en": "Send job applications in your name", "de": "In Ihrem Namen Bewerbungen verschicken" },
          "resume:read": { "en": "Read your résumé and comment on it", "de": "Ihren Lebenslauf lesen und dazu Rat geben" }
        }
        """;

    private readonly FrozenDictionary<string, ScopeSentence[]> sentences;

    public ScopeCatalog(IOptions<TokenSettings> settings)
    {
        var (scopes, problem) = ScopeList.Read(settings.Value.Scopes ?? Default);
        Names = [.. (scopes ?? throw new InvalidOperationException(problem)).Select(scope => scope.Key)];
        sentences = scopes.ToFrozenDictionary(StringComparer.Ordinal);
    }

    public IReadOnlyList<string> Names { get; }

    /// <summary>The sentence for people; the scope's name for one that is no longer configured.</summary>
    /// <param name="language">BCP 47. Where there is no sentence in it: English, else the first there is.</param>
    public ScopeSentence Sentence(string scope, string language)
    {
        var known = sentences.GetValueOrDefault(scope) ?? [new ScopeSentence(null, scope)];
        return Array.Find(known, sentence => sentence.Language == language) ?? Array.Find(known, sentence => sentence.Language == "en") ?? known[0];
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
