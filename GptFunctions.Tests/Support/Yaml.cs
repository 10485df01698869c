using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace GptFunctions.Tests.Support;

/// <summary>YAML as JSON nodes: plain numbers, booleans and nulls have their type, whatever is quoted is a string.</summary>
internal static class Yaml
{
    /// <summary>Every document of a file.</summary>
    public static IReadOnlyList<JsonNode> Load(string path) => Parse(File.ReadAllText(path));

    public static IReadOnlyList<JsonNode> Parse(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(document => Convert(document.RootNode)!)];
    }

    /// <summary>What stands at a path such as <c>spec/containers/0/name</c>; null when there is nothing.</summary>
    public static JsonNode? At(this JsonNode? node, string path)
    {
        foreach (var step in path.Split('/'))
        {
            node = node switch
            {
                JsonArray array => int.TryParse(step, CultureInfo.InvariantCulture, out var index) && index < array.Count ? array[index] : null,
                JsonObject found => found[step],
                _ => null,
            };
        }

        return node;
    }

    /// <summary>The text of the value at a path; null when there is none.</summary>
    public static string? Text(this JsonNode? node, string path) => node.At(path)?.ToString();

    /// <summary>The members of the list at a path; none when there is no list.</summary>
    public static IReadOnlyList<JsonNode> List(this JsonNode? node, string path) => node.At(path) is JsonArray array ? [.. array.Select(item => item!)] : [];

    /// <summary>The members of the object at a path; none when there is no object.</summary>
    public static IReadOnlyDictionary<string, string> Map(this JsonNode? node, string path) =>
        node.At(path) is JsonObject members
            ? members.ToDictionary(member => member.Key, member => member.Value?.ToString() ?? "", StringComparer.Ordinal)
            : new Dictionary<string, string>(StringComparer.Ordinal);

    private static JsonNode? Convert(YamlNode node) => node switch
    {
        YamlMappingNode mapping => new JsonObject(
            mapping.Children.Select(member => KeyValuePair.Create(((YamlScalarNode)member.Key).Value!, Convert(member.Value)))),
        YamlSequenceNode sequence => new JsonArray([.. sequence.Children.Select(Convert)]),
        YamlScalarNode { Style: not ScalarStyle.Plain } quoted => JsonValue.Create(quoted.Value),
        YamlScalarNode { Value: null or "" or "~" or "null" } => null,
        YamlScalarNode { Value: "true" or "false" } flag => JsonValue.Create(flag.Value == "true"),
        YamlScalarNode plain when long.TryParse(plain.Value, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(number),
        YamlScalarNode plain => JsonValue.Create(plain.Value),
        _ => throw new InvalidOperationException($"What is {node} in YAML?"),
    };
}
