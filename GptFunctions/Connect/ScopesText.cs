using System.Text.Json.Nodes;
using GptFunctions.Tokens;

namespace GptFunctions.Connect;

/// <summary>The file settings.env, in whose GPT_SCOPES, in either of its forms, what people wrote stays.</summary>
internal sealed class ScopesText
{
    private const string Name = "GPT_SCOPES=";
    private const string Comment =
        "# What people are asked when they connect: name=sentence, separated by ';', or JSON with a sentence in each language. Yours to edit.\n";

    private readonly string file;
    private readonly string? line;

    /// <param name="path">The file, where there is one.</param>
    public ScopesText(string path)
    {
        file = File.Exists(path) ? File.ReadAllText(path) : Comment;
        line = Array.Find(file.Split('\n'), one => one.StartsWith(Name, StringComparison.Ordinal));
        Text = line?[Name.Length..].Trim() ?? "";
    }

    /// <summary>GPT_SCOPES.</summary>
    public string Text { get; private set; }

    /// <summary>Scopes with their sentences that were not there.</summary>
    public List<KeyValuePair<string, string>> Added { get; } = [];

    /// <summary>Adds what is missing.</summary>
    /// <returns>Sentences about scopes that no route asks for any more.</returns>
    public IEnumerable<string> Add(IEnumerable<string> needed, Dictionary<string, string> sentences)
    {
        var known = Text.Length == 0 ? [] : ScopeList.Read(Text).Scopes?.Select(scope => scope.Key).ToList() ?? [];
        var names = needed.Distinct().ToList();
        Added.AddRange(names.Except(known).Select(name => KeyValuePair.Create(name, sentences.GetValueOrDefault(name, name))));
        if (!Text.StartsWith('{') || ScopeList.Read(Text).Problem is not null)
        {
            Text = string.Join(';', Added.Select(scope => $"{scope.Key}={scope.Value}").Prepend(Text).Where(part => part.Length > 0));
        }
        else if (Added.Count > 0)
        {
            var json = JsonNode.Parse(Text)!.AsObject();
            foreach (var (name, sentence) in Added)
            {
                json[name] = new JsonObject { ["en"] = sentence };
            }

            Text = json.ToJsonString(NewRoute.Plain);
        }

        return known.Except(names).Select(name => $"No route asks for the scope {name}: take it out of settings.env when nobody is to be asked for it.");
    }

    /// <summary>The file, in which everything else is as it was.</summary>
    public string Write() =>
        line is null ? $"{file.TrimEnd('\n')}\n{Name}{Text}\n" : file.Replace(line, Name + Text, StringComparison.Ordinal);
}
