using System.Text.Json;

namespace GptFunctions.Tokens;

/// <summary>What people read of a scope.</summary>
/// <param name="Language">BCP 47; null where the setting does not say.</param>
internal sealed record ScopeSentence(string? Language, string Text);

/// <summary>
/// Reads <c>GPT_SCOPES</c>: <c>name=sentence;name=sentence</c>, or JSON with a sentence for each language (best kept as a file of that name):
/// <c>{"jobs:read": {"en": "See job offers", "de": "Stellenangebote ansehen"}}</c>.
/// </summary>
internal static class ScopeList
{
    private const string Form = "GPT_SCOPES must be a list of name=sentence separated by ';', for example jobs:read=See job offers, or JSON such as "
        + "{\"jobs:read\": {\"en\": \"See job offers\", \"de\": \"Stellenangebote ansehen\"}}";

    /// <summary>The scopes in their order; or a sentence that says what is wrong.</summary>
    public static (List<KeyValuePair<string, ScopeSentence[]>>? Scopes, string? Problem) Read(string text)
    {
        var scopes = new List<KeyValuePair<string, ScopeSentence[]>>();
        try
        {
            foreach (var (name, sentences) in text.TrimStart() is ['{', ..] ? ReadJson(text) : ReadList(text))
            {
                var wrong = !ScopeCatalog.IsScopeToken(name) ? $"'{name}' is not a scope (RFC 6749 3.3)"
                    : scopes.Exists(scope => scope.Key == name) ? $"the scope {name} is there twice"
                    : sentences.Length == 0 || Array.Exists(sentences, sentence => sentence.Text.Trim().Length == 0) ? $"the scope {name} has no sentence"
                    : Array.Exists(sentences, sentence => sentence.Text.Any(char.IsControl)) ? $"a sentence of the scope {name} holds a control character"
                    : null;
                if (wrong is not null)
                {
                    return (null, $"{Form}: {wrong}.");
                }

                scopes.Add(new(name, sentences));
            }
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            return (null, error is JsonException ? $"{Form}: {error.Message}" : $"{Form}.");
        }

        return scopes.Count > 0 ? (scopes, null) : (null, Form + ".");
    }

    private static IEnumerable<(string Name, ScopeSentence[] Sentences)> ReadList(string text)
    {
        foreach (var entry in text.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            yield return entry.Split('=', 2, StringSplitOptions.TrimEntries) is [var name, var sentence]
                ? (name, [new ScopeSentence(null, sentence)])
                : throw new FormatException();
        }
    }

    private static List<(string Name, ScopeSentence[] Sentences)> ReadJson(string text)
    {
        using var document = JsonDocument.Parse(text);
        return [.. document.RootElement.EnumerateObject().Select(scope => (scope.Name, scope.Value.ValueKind switch
        {
            JsonValueKind.String => [new ScopeSentence(null, scope.Value.GetString()!)],
            JsonValueKind.Object => scope.Value.EnumerateObject().Select(sentence => new ScopeSentence(
                sentence.Name, sentence.Value.ValueKind == JsonValueKind.String ? sentence.Value.GetString()! : throw new FormatException())).ToArray(),
            _ => throw new FormatException(),
        }))];
    }
}
